package haproxy_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/haproxy"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestRealPeer lets HAProxy read what Append writes, and reads what it writes.
func TestRealPeer(t *testing.T) {
	peer.Need(t, "haproxy", "haproxy")
	pair, file := certificate(t)
	encrypt := fmt.Sprintf(" ssl crt %s ca-file %s verify optional ca-ignore-err all crt-ignore-err all", file, file)
	const all = "send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,unique-id,ssl,cert-key,cert-sig,ssl-cipher,cert-cn"
	stranger, _ := certificate(t)
	for _, c := range []struct {
		name, bind, send string
		header           func(t *testing.T, conn net.Conn) []byte // before all else
		tls              *tls.Config
		check            func(t *testing.T, h haproxy.Header, conn net.Conn)
	}{
		{name: "send 1", send: "send-proxy", check: isOf},
		{name: "send 2", send: "send-proxy-v2", check: isOf},
		{name: "send all", send: all, bind: encrypt, tls: client(pair), check: isEncrypted("mx.test.example", true)},
		{name: "a stranger's", send: all, bind: encrypt, tls: client(stranger), check: isEncrypted("mx.test.example", false)},
		{name: "no certificate", send: all, bind: encrypt, tls: client(), check: isEncrypted("", false)},
		{name: "accept 1", bind: " accept-proxy", send: "send-proxy-v2", header: tell(1), check: isTold},
		{name: "accept 2", bind: " accept-proxy", send: "send-proxy", header: tell(2), check: isTold},
		{name: "accept local", bind: " accept-proxy", send: "send-proxy-v2", header: tellLocal, check: isOf},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, accept := through(t, c.bind, c.send)
			if c.header != nil {
				if _, err := conn.Write(c.header(t, conn)); err != nil {
					t.Fatal(err)
				}
			}
			outer := conn
			if c.tls != nil {
				conn = tls.Client(conn, c.tls)
			}
			if _, err := io.WriteString(conn, after); err != nil {
				t.Fatal(err)
			}
			server := accept()
			h, err := haproxy.Read(server)
			if err != nil {
				t.Fatal(err)
			}
			c.check(t, h, outer)
			got := make([]byte, len(after))
			if _, err := io.ReadFull(server, got); err != nil || string(got) != after {
				t.Errorf("after the header: %q, %v", got, err)
			}
		})
	}
}

func tell(version int) func(*testing.T, net.Conn) []byte {
	return func(t *testing.T, _ net.Conn) []byte {
		wire, err := haproxy.Append(nil, version, haproxy.Header{Source: from6, Dest: to6, ServerName: "mx.example", UniqueID: "id"})
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
}

func tellLocal(t *testing.T, _ net.Conn) []byte {
	wire, err := haproxy.Append(nil, 2, local)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func isTold(t *testing.T, h haproxy.Header, _ net.Conn) {
	t.Helper()
	if h.Source != from6 || h.Dest != to6 || h.Local {
		t.Errorf("%+v", h)
	}
}

// isOf holds a header to tell of a connection.
func isOf(t *testing.T, h haproxy.Header, conn net.Conn) {
	t.Helper()
	if h.Source != netip.MustParseAddrPort(conn.LocalAddr().String()) || h.Dest != netip.MustParseAddrPort(conn.RemoteAddr().String()) {
		t.Errorf("%+v is of another connection than %v to %v", h, conn.LocalAddr(), conn.RemoteAddr())
	}
}

func client(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{ServerName: "mx.example", InsecureSkipVerify: true, Certificates: certs}
}

func isEncrypted(name string, verified bool) func(*testing.T, haproxy.Header, net.Conn) {
	return func(t *testing.T, h haproxy.Header, conn net.Conn) {
		t.Helper()
		isOf(t, h, conn)
		if h.ServerName != "mx.example" || h.UniqueID != "unique.1" || h.TLS == nil {
			t.Fatalf("%+v", h)
		}
		g := h.TLS
		if g.Version != "TLSv1.3" || !strings.HasPrefix(g.Cipher, "TLS_") || g.ServerName != "mx.example" || g.Client != name || g.Verified != verified {
			t.Errorf("%+v", g)
		}
	}
}

// certificate makes one that its owner has signed, and a file of it and its
// key, as HAProxy wants them.
func certificate(t *testing.T) (pair tls.Certificate, file string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	file = filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(file, append(certPEM, keyPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	if pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	return pair, file
}

const conf = `global
	log stderr local0
defaults
	mode tcp
	timeout connect 20s
	timeout client 20s
	timeout server 20s
	unique-id-format unique.1
listen x
	bind fd@3%s
	server s %s %s
`

// through starts a HAProxy and returns a connection to it, and what accepts
// the one that it makes.
func through(t *testing.T, bind, send string) (net.Conn, func() net.Conn) {
	t.Helper()
	front, back := listen(t), listen(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, fmt.Appendf(nil, conf, bind, back.Addr(), send), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := front.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	cmd := exec.CommandContext(t.Context(), "/usr/sbin/haproxy", "-db", "-f", file)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{socket}, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	deadline := time.Now().Add(20 * time.Second)
	conn, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(deadline)
	return conn, func() net.Conn {
		_ = back.SetDeadline(deadline)
		server, err := back.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		_ = server.SetDeadline(deadline)
		return server
	}
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}
