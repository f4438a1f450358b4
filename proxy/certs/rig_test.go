package certs_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/certs"
)

const day = 24 * time.Hour

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key := newECKey(t)
	c := sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(3650 * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, key)
	return &authority{c, key}
}

// pem is the authority's file.
func (a *authority) pem() []byte { return encode("CERTIFICATE", a.cert.Raw) }

func (a *authority) file(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	write(t, path, a.pem(), 0o644)
	return path
}

// leaf is a certificate to make.
type leaf struct {
	names  []string
	ip     net.IP
	cn     string // "" for the first name
	key    crypto.Signer
	begins time.Duration      // from now, 0 for a day ago
	ends   time.Duration      // from now, 0 for 90 days
	uses   []x509.ExtKeyUsage // nil for servers and clients
}

// made is a certificate with its key.
type made struct {
	leaf      *x509.Certificate
	cert, key []byte // PEM
}

func (a *authority) issue(t testing.TB, l leaf) made {
	t.Helper()
	if l.key == nil {
		l.key = newECKey(t)
	}
	if l.cn == "" && len(l.names) > 0 {
		l.cn = l.names[0]
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: l.cn}, DNSNames: l.names,
		NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(90 * day),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if l.uses != nil {
		template.ExtKeyUsage = l.uses
	}
	if l.ip != nil {
		template.IPAddresses = []net.IP{l.ip}
	}
	if l.begins != 0 {
		template.NotBefore = time.Now().Add(l.begins)
	}
	if l.ends != 0 {
		template.NotAfter = time.Now().Add(l.ends)
	}
	c := sign(t, template, a, l.key)
	der, err := x509.MarshalPKCS8PrivateKey(l.key)
	if err != nil {
		t.Fatal(err)
	}
	return made{c, encode("CERTIFICATE", c.Raw), encode("PRIVATE KEY", der)}
}

// files writes the certificate to name.pem and the key to name.key.
func (m made) files(t testing.TB, dir, name string) certs.Pair {
	t.Helper()
	p := certs.Pair{Certificate: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
	write(t, p.Certificate, m.cert, 0o644)
	write(t, p.Key, m.key, 0o600)
	return p
}

// pair is the certificate for a Go program.
func (m made) pair(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(m.cert, m.key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var serial struct {
	sync.Mutex
	n int64
}

// sign makes a certificate; by is nil if it signs itself.
func sign(t testing.TB, template *x509.Certificate, by *authority, key crypto.Signer) *x509.Certificate {
	t.Helper()
	serial.Lock()
	serial.n++
	template.SerialNumber = big.NewInt(serial.n)
	serial.Unlock()
	issuer, issuerKey := template, key
	if by != nil {
		issuer, issuerKey = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newECKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKey is slow to make.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func write(t testing.TB, path string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // of a file that was there, too
		t.Fatal(err)
	}
}

// newShelf returns a shelf with the clock of the test, and its log.
func newShelf(t testing.TB) (*certs.Shelf, *filtertest.Log) {
	t.Helper()
	return newShelfWith(t, func(*filters.Env) {})
}

func newShelfWith(t testing.TB, set func(*filters.Env)) (*certs.Shelf, *filtertest.Log) {
	t.Helper()
	env, log := filtertest.Env("")
	env.Now = time.Now
	set(&env)
	shelf := certs.New(env)
	t.Cleanup(shelf.Close)
	return shelf, log
}

func newServer(t testing.TB, shelf *certs.Shelf, o certs.Server) *certs.ServerConfig {
	t.Helper()
	c, err := shelf.Server(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newClient(t testing.TB, shelf *certs.Shelf, o certs.Client) *certs.ClientConfig {
	t.Helper()
	c, err := shelf.Client(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// met is what both ends know of a handshake.
type met struct {
	server, client       tls.ConnectionState
	serverErr, clientErr error
}

func (m met) ok() bool { return m.serverErr == nil && m.clientErr == nil }

// seen is the common name that the client has got to see.
func (m met) seen() string {
	if len(m.client.PeerCertificates) == 0 {
		return ""
	}
	return m.client.PeerCertificates[0].Subject.CommonName
}

// end is an end of a connection that takes what is written at once, so that
// both ends can complain at the same time.
type end struct {
	net.Conn // for its addresses and deadlines, which mean nothing
	in, out  chan []byte
	rest     []byte
}

func connection() (a, b *end) {
	x, y := net.Pipe()
	up, down := make(chan []byte, 100), make(chan []byte, 100)
	return &end{Conn: x, in: up, out: down}, &end{Conn: y, in: down, out: up}
}

func (e *end) Write(p []byte) (int, error) {
	e.out <- bytes.Clone(p)
	return len(p), nil
}

func (e *end) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		more, ok := <-e.in
		if !ok {
			return 0, io.EOF
		}
		e.rest = more
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *end) Close() error {
	close(e.out)
	return e.Conn.Close()
}

// handshake lets the two meet. They exchange an octet after it: in TLS 1.3 a
// client hears only then of a refusal, and gets its tickets.
func handshake(server, client *tls.Config) (m met) {
	near, far := connection()
	var done sync.WaitGroup
	done.Go(func() {
		defer near.Close()
		conn := tls.Server(near, server)
		if m.serverErr = conn.Handshake(); m.serverErr == nil {
			m.server = conn.ConnectionState()
			_, m.serverErr = conn.Write([]byte{'2'})
		}
	})
	conn := tls.Client(far, client)
	if m.clientErr = conn.Handshake(); m.clientErr == nil {
		m.client = conn.ConnectionState()
		_, m.clientErr = conn.Read(make([]byte, 1))
	}
	far.Close()
	done.Wait()
	return m
}

// anyServer is a client that looks at nothing.
func anyServer(name string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true}
}
