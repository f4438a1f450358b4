package certs_test

import (
	"context"
	"crypto/tls"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// serve lets clients come to the returned address. What is known of each goes
// to facts, which has room for one.
func serve(t *testing.T, server *certs.ServerConfig) (addr string, facts <-chan filters.TLS) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan filters.TLS, 1)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			secure := tls.Server(conn, server.Config())
			_ = secure.Handshake()
			_, _ = secure.Write([]byte("220 mx.example.org\r\n"))
			select {
			case out <- server.Facts(secure.ConnectionState()):
			default: // nobody has asked for the last
			}
			_ = secure.Close()
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
	return l.Addr().String(), out
}

// sClient returns what openssl's client tells of its session.
func sClient(t *testing.T, addr string, args ...string) (output string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-connect", addr, "-brief"}, args...)...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("openssl does not end: %s", out)
	}
	return string(out), err == nil
}

// TestOpenSSL has another implementation come to a listener.
func TestOpenSSL(t *testing.T) {
	peer.Need(t, "openssl", "openssl")
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	file := ca.file(t, dir, "ca.pem")
	var pairs []certs.Pair
	for _, l := range []leaf{
		{cn: "first", names: []string{"mx.example.org"}},
		{cn: "rsa", names: []string{"mx.example.org"}, key: rsaKey()},
		{cn: "second", names: []string{"*.example.net"}},
	} {
		pairs = append(pairs, ca.issue(t, l).files(t, dir, l.cn))
	}
	own := ca.issue(t, leaf{cn: "client.example"}).files(t, dir, "own")
	shelf, _ := newShelf(t)
	addr, facts := serve(t, newServer(t, shelf, certs.Server{Certificates: pairs, Clients: certs.Request, ClientCA: file}))

	for _, c := range []struct {
		args   string
		want   string // in what openssl says, "" if it shall fail
		client string
	}{
		{"-noservername", "CN = first", ""},
		{"-servername mx.example.org -tls1_3", "Protocol version: TLSv1.3", ""},
		{"-servername mx.example.org -tls1_2", "Protocol version: TLSv1.2", ""},
		{"-servername mx.example.org -tls1_2 -cipher aRSA", "CN = rsa", ""},
		{"-servername a.example.net", "CN = second", ""},
		{"-servername mx.example.org -verify_return_error -verify_hostname mx.example.org -CAfile " + file, "Verification: OK", ""},
		{"-cert " + own.Certificate + " -key " + own.Key, "CN = first", "client.example"},
		{"-tls1_2 -cipher kRSA:@SECLEVEL=0", "", ""},
		{"-tls1_2 -cipher DHE:@SECLEVEL=0", "", ""},
		{"-tls1_1 -cipher ALL:@SECLEVEL=0", "", ""},
		{"-tls1 -cipher ALL:@SECLEVEL=0", "", ""},
	} {
		out, ok := sClient(t, addr, strings.Fields(c.args)...)
		if ok != (c.want != "") || !strings.Contains(out, c.want) {
			t.Errorf("%s: ok %v, want %q in: %s", c.args, ok, c.want, out)
		}
		got := <-facts
		if got.Client != c.client || got.Verified != (c.client != "") || (got.Version == "") == ok {
			t.Errorf("%s: facts %+v", c.args, got)
		}
	}
}
