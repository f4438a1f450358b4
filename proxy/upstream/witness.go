package upstream

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// A Report may be the witness of a connection's beginning. A nil one looks away.

func (r *Report) greeting(reply smtp.ServerReply) {
	if r != nil {
		r.Greeting = short(reply)
	}
}

func (r *Report) hello(wire []byte) {
	if r != nil {
		r.Keywords = keywordsOf(wire).names()
	}
}

// encryption returns the settings with which the handshake tells of the
// certificate, also of one that is not trusted.
func (r *Report) encryption(config *tls.Config) *tls.Config {
	if r == nil {
		return config
	}
	config = config.Clone()
	check := config.VerifyConnection
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		r.TLS = &Encryption{Version: tls.VersionName(cs.Version), Cipher: tls.CipherSuiteName(cs.CipherSuite)}
		if len(cs.PeerCertificates) > 0 {
			leaf := cs.PeerCertificates[0]
			r.TLS.Names, r.TLS.NotAfter = namesIn(leaf), leaf.NotAfter
		}
		if check == nil {
			r.TLS.Verified = !config.InsecureSkipVerify
			return nil
		}
		err := check(cs)
		r.TLS.Verified = err == nil && !takesAny(check)
		return err
	}
	return config
}

// takesAny reports whether a check accepts whatever certificate there is: none
// is like an empty one.
func takesAny(check func(tls.ConnectionState) error) bool {
	return check(tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}) == nil
}

// maxNames is how many names of a certificate are told.
const maxNames = 5

// namesIn returns the names that a certificate is for.
func namesIn(c *x509.Certificate) []string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{c.Subject.CommonName}
	}
	var list []string
	for _, name := range names[:min(len(names), maxNames)] {
		list = append(list, smtp.Clean(name[:min(len(name), maxShown)]))
	}
	return list
}
