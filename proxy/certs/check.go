package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// ServerError tells why a server's certificate is not trusted. Its text is one
// line, whatever stands in the certificate.
type ServerError struct {
	Name        string // that the certificate should be for, "" for none
	Fingerprint string // SHA-256 of the certificate, in hex
	Err         error
}

func (e *ServerError) Error() string {
	name := e.Name
	if name == "" {
		name = "the upstream"
	}
	return fmt.Sprintf("the certificate of %s is not trusted: %s (its fingerprint is %s)", shown(name), shown(e.Err.Error()), e.Fingerprint)
}

func (e *ServerError) Unwrap() error { return e.Err }

var (
	errNoLeaf    = errors.New("the upstream has shown no certificate")
	errNotPinned = errors.New("it is none of those in fingerprints")
	errNoName    = errors.New("there is no name to check it against: set server_name or fingerprints")
)

// check returns the check of a server that should have that name. It is made at
// every handshake, with the authorities in force then.
func (c *ClientConfig) check(name string) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errNoLeaf
		}
		if err := c.trusts(name, cs.PeerCertificates); err != nil {
			return &ServerError{Name: name, Fingerprint: fingerprint(cs.PeerCertificates[0]), Err: err}
		}
		return nil
	}
}

func (c *ClientConfig) trusts(name string, chain []*x509.Certificate) error {
	switch {
	case len(c.pins) > 0:
		if !slices.Contains(c.pins, sha256.Sum256(chain[0].Raw)) {
			return errNotPinned
		}
		return nil
	case !c.want.Verify:
		return nil
	case name == "":
		return errNoName
	}
	var roots *x509.CertPool
	if c.ca != nil {
		roots = c.ca.value.Load().roots
	}
	return verify(chain, x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: c.uses.shelf.now()})
}

// verify checks a peer's chain, the leaf first.
func verify(chain []*x509.Certificate, o x509.VerifyOptions) error {
	o.Intermediates = x509.NewCertPool()
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}
