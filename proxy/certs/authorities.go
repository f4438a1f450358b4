package certs

import (
	"crypto/x509"
	"errors"
)

// readAuthorities reads a file of certificates that are trusted to sign others.
// Single ones that cannot be read are left out: collections have some.
func readAuthorities(name string) (*content, error) {
	data, _, err := slurp(name, maxCAFile)
	var c *content
	if err == nil {
		c, err = parseAuthorities(data)
	}
	if err != nil {
		return nil, &FileError{Option: "ca", File: name, Err: err}
	}
	return c, nil
}

func parseAuthorities(data []byte) (*content, error) {
	all, err := blocks(data)
	if err != nil {
		return nil, err
	}
	certs, _ := only(all, isCertificate, isKey)
	if len(certs) == 0 {
		return nil, errors.New("no certificate in PEM form: name the file with the authority's certificate")
	}
	c := &content{roots: x509.NewCertPool()}
	for _, b := range certs {
		authority, err := parseCertificate(b)
		if err != nil {
			c.skipped++
			continue
		}
		c.roots.AddCert(authority)
		c.last(authority)
	}
	if c.skipped == len(certs) {
		return nil, errors.New("no certificate that can be read: get it anew from the authority")
	}
	return c, nil
}

// last makes the file valid for as long as any authority in it is.
func (c *content) last(authority *x509.Certificate) {
	if c.begin.IsZero() || authority.NotBefore.Before(c.begin) {
		c.begin = authority.NotBefore
	}
	if authority.NotAfter.After(c.end) {
		c.end = authority.NotAfter
	}
}
