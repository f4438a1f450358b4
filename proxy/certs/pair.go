package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// Pair names the files of a certificate and of its key. One file may be both.
type Pair struct {
	Certificate string // PEM: the certificate, then those of its issuers
	Key         string // PEM: the private key, not encrypted
}

// maxChain is how many certificates a chain may have. More than ten is not
// taken by what many programs do; a hundred is a file of authorities.
const maxChain = 20

// read reads the files of a pair that fit each other.
func (p Pair) read() (*content, error) {
	data, _, err := slurp(p.Certificate, maxPairFile)
	var chain []*x509.Certificate
	if err == nil {
		chain, err = parseChain(data)
	}
	if err != nil {
		return nil, &FileError{Option: "certificate", File: p.Certificate, Err: err}
	}
	data, mode, err := slurp(p.Key, maxPairFile)
	var cert *tls.Certificate
	if err == nil {
		cert, err = match(chain, p.Certificate, data)
	}
	if err != nil {
		return nil, &FileError{Option: "key", File: p.Key, Err: err}
	}
	return &content{
		cert:  cert,
		begin: chain[0].NotBefore, end: chain[0].NotAfter,
		exposed: mode&othersMay != 0,
	}, nil
}

// othersMay are the rights of users who are neither a file's owner nor in its
// group.
const othersMay os.FileMode = 0o007

// match completes a chain, which was read from certFile, with the key in data.
func match(chain []*x509.Certificate, certFile string, data []byte) (*tls.Certificate, error) {
	key, err := parseKey(data)
	if err != nil {
		return nil, err
	}
	for i, c := range chain {
		switch fits := key.fits(c.PublicKey); {
		case fits && i == 0:
			return assemble(chain, key), nil
		case fits:
			return nil, fmt.Errorf("the key belongs to certificate %d in %s: move that to the front, before those of its issuers", i+1, certFile)
		}
	}
	return nil, fmt.Errorf("the key does not belong to the certificate in %s: name the two that were made together", certFile)
}

func assemble(chain []*x509.Certificate, key key) *tls.Certificate {
	cert := &tls.Certificate{PrivateKey: key.Signer, Leaf: chain[0]}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert
}

// parseChain reads one certificate or more.
func parseChain(data []byte) ([]*x509.Certificate, error) {
	all, err := blocks(data)
	if err != nil {
		return nil, err
	}
	certs, keys := only(all, isCertificate, isKey)
	switch {
	case len(certs) == 0 && keys:
		return nil, errors.New("a private key, and no certificate: look whether certificate and key are swapped")
	case len(certs) == 0:
		return nil, errors.New("no certificate in PEM form: convert it, such as with openssl x509 -inform der, or openssl pkcs12 -nodes")
	case len(certs) > maxChain:
		return nil, fmt.Errorf("%d certificates, more than %d: name the file of one certificate and its issuers", len(certs), maxChain)
	}
	chain := make([]*x509.Certificate, 0, len(certs))
	for i, b := range certs {
		c, err := parseCertificate(b)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

func parseCertificate(b *pem.Block) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("not a certificate that can be read (%w): get it anew from its issuer", err)
	}
	return c, nil
}
