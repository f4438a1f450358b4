package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// Facts returns what filters may know of a client's TLS, after the handshake.
// Call it at the handshake's end, on the configuration that this was made with:
// its authorities tell whether a certificate that was only requested is
// trusted.
func (c *ServerConfig) Facts(cs tls.ConnectionState) filters.TLS {
	if !cs.HandshakeComplete {
		return filters.TLS{}
	}
	facts := filters.TLS{
		Version:    versionName(cs.Version),
		Cipher:     tls.CipherSuiteName(cs.CipherSuite),
		ServerName: hostName(cs.ServerName),
	}
	if len(cs.PeerCertificates) > 0 {
		leaf := cs.PeerCertificates[0]
		facts.Client = commonName(leaf)
		facts.Fingerprint = fingerprint(leaf)
		facts.Verified = len(cs.VerifiedChains) > 0 || c.trusts(cs.PeerCertificates)
	}
	return facts
}

// trusts reports whether an authority for clients has signed the certificate.
func (c *ServerConfig) trusts(chain []*x509.Certificate) bool {
	roots := c.roots()
	if roots == nil {
		return false // nil would mean the system's, who sign for everybody
	}
	return verify(chain, x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: c.uses.shelf.now(),
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}) == nil
}

// versionName spells a version as openssl and MTAs do.
func versionName(version uint16) string {
	switch version {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return ""
}

// Limits of a host name in octets (RFC 1035 section 2.3.4).
const (
	maxHost  = 253
	maxLabel = 63
)

// hostName returns the name that a client asks for, in lower case, if it is a
// host name and no address (RFC 6066 section 3); otherwise "".
func hostName(name string) string {
	if name == "" || len(name) > maxHost {
		return ""
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return ""
		}
	}
	return strings.ToLower(name)
}

// isLabel reports whether label is letters, digits and inner hyphens (RFC 1123
// section 2.1).
func isLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}

// maxCommonName bounds a common name in octets. RFC 5280 appendix A.1 allows 64
// characters.
const maxCommonName = 255

// commonName returns the common name of a certificate's subject, as a line of
// printable ASCII; "" if it has none, or one that is no name.
func commonName(c *x509.Certificate) string {
	if len(c.Subject.CommonName) > maxCommonName {
		return ""
	}
	return printable(c.Subject.CommonName)
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
