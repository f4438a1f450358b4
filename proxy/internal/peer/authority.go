package peer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Authority issues certificates: a CA of this test's own.
type Authority struct {
	File string // its certificate
	Pool *x509.CertPool

	*Certificate
}

// A Leaf is what a certificate is to say.
type Leaf struct {
	CommonName string    // Names[0] if empty
	Names      []string  // host names and IP addresses
	Client     bool      // for clients, otherwise for servers
	NotBefore  time.Time // an hour ago if zero
	NotAfter   time.Time // in 60 days if zero: none expires soon

	ca bool // may issue others
}

// Expired is a Leaf for the names whose time was over an hour ago.
func Expired(names ...string) Leaf {
	now := time.Now()
	return Leaf{Names: names, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Hour)}
}

// NewAuthority makes an Authority for this test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	c := issue(t, nil, Leaf{CommonName: "Test CA", ca: true})
	a := &Authority{File: c.CertFile, Pool: x509.NewCertPool(), Certificate: c}
	a.Pool.AddCert(c.Parsed)
	return a
}

// Issue makes a certificate.
func (a *Authority) Issue(t testing.TB, leaf Leaf) *Certificate {
	t.Helper()
	return issue(t, a, leaf)
}

// Server makes a certificate for a server of these names.
func (a *Authority) Server(t testing.TB, names ...string) *Certificate {
	t.Helper()
	return issue(t, a, Leaf{Names: names})
}

// Client makes a certificate for a client of that name.
func (a *Authority) Client(t testing.TB, name string) *Certificate {
	t.Helper()
	return issue(t, a, Leaf{CommonName: name, Client: true})
}

// TLS is how a client trusts this authority, and nobody else, for servers of that
// name, and shows the certificates.
func (a *Authority) TLS(serverName string, shown ...*Certificate) *tls.Config {
	config := &tls.Config{RootCAs: a.Pool, ServerName: serverName}
	for _, c := range shown {
		config.Certificates = append(config.Certificates, c.X509)
	}
	return config
}

// issue makes a certificate, a self-signed one if there is no authority.
func issue(t testing.TB, by *Authority, leaf Leaf) *Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := leaf.template(t)
	parent, signer, caFile := template, crypto.PrivateKey(key), ""
	if by != nil {
		parent, signer, caFile = by.Parsed, by.X509.PrivateKey, by.File
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := certificateDir(t)
	c := &Certificate{
		Dir: dir, CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), CAFile: caFile,
		X509:   tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed},
		Parsed: parsed,
	}
	writePEM(t, c.CertFile, "CERTIFICATE", der)
	writePEM(t, c.KeyFile, "PRIVATE KEY", private)
	return c
}

func (l Leaf) template(t testing.TB) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    l.NotBefore,
		NotAfter:     l.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	switch {
	case l.ca:
		c.ExtKeyUsage = nil // no bounds for what it issues
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage |= x509.KeyUsageCertSign
	case l.Client:
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().AddDate(0, 0, 60)
	}
	for _, name := range l.Names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	if l.CommonName == "" && len(l.Names) > 0 {
		l.CommonName = l.Names[0]
	}
	c.Subject = pkix.Name{CommonName: l.CommonName, Organization: []string{"mailweir tests"}}
	return c
}

func certificateDir(t testing.TB) string {
	t.Helper()
	if os.Getuid() == 0 {
		return rootDir(t, "mailweir-certificate-")
	}
	return t.TempDir()
}
