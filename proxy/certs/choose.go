package certs

import (
	"crypto/tls"
	"strings"
)

// choose returns the certificate for a client: one for the very name that it
// asks for (RFC 6066 section 3), or else one for all names beside it, or else
// any; in the order of the configuration, and with a key of a kind that the
// client can do with.
func (c *ServerConfig) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	anyName := *hello
	anyName.ServerName = "" // our own look at names goes before SupportsCertificate's
	var candidates []*tls.Certificate
	for _, level := range []func(*tls.Certificate) bool{
		named(hello.ServerName),
		named(wildcard(hello.ServerName)),
		func(*tls.Certificate) bool { return true },
	} {
		for _, src := range c.pairs {
			if cert := src.value.Load().cert; level(cert) {
				if anyName.SupportsCertificate(cert) == nil {
					return cert, nil
				}
				candidates = append(candidates, cert)
			}
		}
	}
	// None will do: let the handshake fail over the best, and say why.
	return candidates[0], nil
}

// named reports whether a certificate has that very name.
func named(name string) func(*tls.Certificate) bool {
	return func(cert *tls.Certificate) bool {
		if name == "" {
			return false
		}
		for _, has := range cert.Leaf.DNSNames {
			if strings.EqualFold(has, name) {
				return true
			}
		}
		return false
	}
}

// wildcard returns the name that stands for name and all beside it (RFC 9525
// section 6.3), "" for none.
func wildcard(name string) string {
	if _, parent, ok := strings.Cut(name, "."); ok && parent != "" {
		return "*." + parent
	}
	return ""
}
