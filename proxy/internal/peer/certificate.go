package peer

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// A Certificate is one that a server offers, or a client shows, with its key.
// Its files lie where Sendmail trusts them, if the test runs as root.
type Certificate struct {
	Dir, CertFile, KeyFile string

	CAFile string            // of the authority that issued it; "" if it is self-signed
	X509   tls.Certificate   // the same for Go
	Parsed *x509.Certificate // the same without the key
}

// SelfSigned makes a certificate of mx.test.example for this test.
func SelfSigned(t testing.TB) *Certificate {
	t.Helper()
	needRoot(t, "An MTA with a certificate")
	return issue(t, nil, Leaf{CommonName: "mx.test.example", Names: []string{"mx.test.example"}})
}

// Fingerprint returns the SHA-256 of the certificate, in lower case hex.
func (c *Certificate) Fingerprint() string {
	sum := sha256.Sum256(c.Parsed.Raw)
	return hex.EncodeToString(sum[:])
}

// together returns a file with the certificate and its key, as haproxy wants it.
func (c *Certificate) together(t testing.TB) string {
	t.Helper()
	var both []byte
	for _, file := range []string{c.CertFile, c.KeyFile} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, data...)
	}
	file := filepath.Join(c.Dir, "both.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
