package proxy_test

import (
	"crypto/tls"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// New certificates come into force while mail comes in: those that shake hands
// later get them, and nobody notices anything else. The upstream's may change too.
func testCertificates(t *testing.T, binary peer.Mailweir) {
	ca := peer.NewAuthority(t)
	sink := peer.Sink(t)
	upstream := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, TLS: ca.Server(t, "mx.test.example")})
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first, second := ca.Server(t, "relay.test.example"), ca.Server(t, "relay.test.example")
	place(t, first.CertFile, cert)
	place(t, first.KeyFile, key)
	listener := func(more string) string {
		return fmt.Sprintf(`upstream: {address: %q, tls: {mode: required, ca: %s, server_name: mx.test.example}},
    tls: {certificates: [{certificate: %s, key: %s}], %s}`, upstream.Addr, ca.File, cert, key, more)
	}
	relay := binary.RelayWith(t, peer.RelayOptions{Listener: listener(""), More: []string{listener("implicit: true")}})
	traffic := &traffic{config: ca.TLS("relay.test.example"), start: relay.Addr, implicit: relay.More[0]}
	traffic.run(4)
	eventually(t, time.Minute, "mail", func() bool { return traffic.seen(first) > 10 })
	old := peer.Dial(t, relay.Addr)
	old.Hello()
	old.StartTLSWith(ca.TLS("relay.test.example"))
	place(t, second.CertFile, cert) // the key does not belong to it yet
	before := traffic.seen(first)
	eventually(t, time.Minute, "mail", func() bool { return traffic.seen(first) > before+10 })
	place(t, second.KeyFile, key)
	eventually(t, time.Minute, "handshake with the new certificate", func() bool { return traffic.seen(second) > 0 })
	before = traffic.seen(first)
	eventually(t, time.Minute, "mail", func() bool { return traffic.seen(second) > 40 })
	if now := traffic.seen(first); now > before+4 { // those that were shaking hands
		t.Errorf("%d handshakes got the old certificate after the new one was there", now-before)
	}
	n := traffic.end(t)
	old.Hello()
	deliver(old, "old@test.example")
	old.Quit()
	sink.Wait(t, n+1, time.Minute)
	if len(sink.Messages()) != n+1 {
		t.Errorf("%d messages, want %d", len(sink.Messages()), n+1)
	}
	peer.Logged(t, relay, `"msg":"files of TLS read again"`)
}

// place puts a file into the place of another, at once.
func place(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

// traffic are clients that bring mail over TLS, one session after the other.
type traffic struct {
	config          *tls.Config
	start, implicit string

	working sync.WaitGroup
	ended   atomic.Bool

	mu    sync.Mutex
	certs map[string]int // handshakes by the certificate's number
	sent  int
	fault error
}

func (f *traffic) run(clients int) {
	f.certs = map[string]int{}
	for i := range clients {
		f.working.Go(func() {
			for !f.ended.Load() {
				if err := f.once(i%2 == 0); err != nil {
					f.mu.Lock()
					f.fault = err
					f.mu.Unlock()
					return
				}
			}
		})
	}
}

// once brings a message.
func (f *traffic) once(start bool) error {
	c, err := f.dial(start)
	if err != nil {
		return err
	}
	defer c.Close()
	state, _ := c.TLSConnectionState()
	f.mu.Lock()
	f.certs[state.PeerCertificates[0].SerialNumber.String()]++
	f.mu.Unlock()
	if err := sent(c, "to@test.example", "Subject: a test\r\n\r\nbody\r\n"); err != nil {
		return err
	}
	f.mu.Lock()
	f.sent++
	f.mu.Unlock()
	return c.Quit()
}

func (f *traffic) dial(start bool) (*smtp.Client, error) {
	if start {
		c, err := smtp.Dial(f.start)
		if err != nil {
			return nil, err
		}
		return c, c.StartTLS(f.config)
	}
	conn, err := tls.Dial("tcp", f.implicit, f.config)
	if err != nil {
		return nil, err
	}
	return smtp.NewClient(conn, "relay.test.example")
}

// seen returns how many handshakes showed the certificate.
func (f *traffic) seen(c *peer.Certificate) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.certs[c.Parsed.SerialNumber.String()]
}

// end ends the traffic and returns how many messages were taken.
func (f *traffic) end(t *testing.T) int {
	t.Helper()
	f.ended.Store(true)
	f.working.Wait()
	if f.fault != nil {
		t.Error(f.fault)
	}
	return f.sent
}
