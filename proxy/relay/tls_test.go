package relay_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/relay"
)

func implicit(o *relay.Options) { o.TLS.Implicit = true }

// With implicit TLS nothing is said in clear, and who speaks in clear hears
// nothing but an alert.
func TestImplicitTLS(t *testing.T) {
	var saw *seer
	r, trust := newTLSRig(t, func(o *relay.Options) { implicit(o); saw = sees(t, o) })
	c := r.dial().shake(trust)
	c.say("", "220")
	if got := c.offers("EHLO c"); strings.Contains(got, "STARTTLS") {
		t.Errorf("it offers %q", got)
	}
	c.say("STARTTLS\r\n"+envelope+"QUIT\r\n", "503", "250", "250", "221")
	c.wantEnd()
	if got := saw.last(t, filters.Connect).TLS; got.Version != "TLSv1.3" || got.Cipher == "" || got.ServerName != weir {
		t.Errorf("at Connect the chain knows of %+v", got)
	}
	for _, said := range []string{"", "EHLO c\r\n", "QUIT\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", strings.Repeat("x", 1<<17)} {
		c := r.dial()
		io.WriteString(c, said)
		c.Conn.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(c.Conn) // it may be reset
		if len(got) > 0 && got[0] != 0x15 {
			t.Errorf("to %.50q it says in clear %q", said, got)
		}
		c.Close()
	}
}

// What is asked of clients for certificates, and what filters learn of those.
func TestClientCertificates(t *testing.T) {
	ours, theirs := peer.NewAuthority(t), peer.NewAuthority(t)
	good, bad := ours.Client(t, "good.example"), theirs.Client(t, "bad.example")
	type want struct {
		ok       bool
		name     string
		verified bool
	}
	for _, test := range []struct {
		asked certs.Clients
		ca    string
		shown *peer.Certificate
		want  want
	}{
		{certs.None, "", good, want{true, "", false}},
		{certs.Request, "", nil, want{true, "", false}},
		{certs.Request, "", good, want{true, "good.example", false}},
		{certs.Request, ours.File, good, want{true, "good.example", true}},
		{certs.Request, ours.File, bad, want{true, "bad.example", false}},
		{certs.Require, ours.File, good, want{true, "good.example", true}},
		{certs.Require, ours.File, bad, want{}},
		{certs.Require, ours.File, nil, want{}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			var saw *seer
			var ca *peer.Authority
			r := newRig(t, func(o *relay.Options) {
				ca = encrypts(t, o, func(s *certs.Server) { s.Clients, s.ClientCA = test.asked, test.ca })
				saw = sees(t, o)
			})
			trust := ca.TLS(weir)
			trust.MaxVersion = version
			if test.shown != nil {
				trust.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &test.shown.X509, nil }
			}
			c := r.greeted()
			c.say("STARTTLS\r\n", "220")
			conn := tls.Client(c.Conn, trust)
			err := served(conn)
			if (err == nil) != test.want.ok {
				t.Errorf("%+v: the handshake ends with %v", test, err)
			}
			if err == nil {
				facts := saw.last(t, filters.Helo).TLS
				if got := (want{true, facts.Client, facts.Verified}); got != test.want {
					t.Errorf("asked %d with %q: filters learn %+v, want %+v", test.asked, test.ca, got, test.want)
				}
				if has := facts.Fingerprint != ""; has != (test.want.name != "") || has && facts.Fingerprint != test.shown.Fingerprint() {
					t.Errorf("the fingerprint is %q", facts.Fingerprint)
				}
			} else if saw.times(filters.Helo) > 1 {
				t.Error("a client without TLS is heard")
			}
			conn.Close()
		}
	}
}

// served returns why a client is not served in TLS. In TLS 1.3 it learns with the
// first reply that its certificate is refused.
func served(conn *tls.Conn) error {
	if err := conn.Handshake(); err != nil {
		return err
	}
	io.WriteString(conn, "EHLO d\r\n")
	_, err := conn.Read(make([]byte, 1))
	return err
}

// The certificate is chosen by the name that the client asks for.
func TestServerName(t *testing.T) {
	other := peer.NewAuthority(t)
	extra := other.Server(t, "mail.other.example")
	var ca *peer.Authority
	r := newRig(t, func(o *relay.Options) {
		ca = encrypts(t, o, func(s *certs.Server) {
			s.Certificates = append(s.Certificates, certs.Pair{Certificate: extra.CertFile, Key: extra.KeyFile})
		})
	})
	r.greeted().startTLS(ca.TLS(weir)).say("EHLO c\r\n", "250")
	r.greeted().startTLS(other.TLS("mail.other.example")).say("EHLO c\r\n", "250")
	unnamed := ca.TLS("")
	unnamed.InsecureSkipVerify = true
	c := r.greeted().startTLS(unnamed)
	if got := c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames; len(got) != 1 || got[0] != weir {
		t.Errorf("without a name it is %q", got)
	}
}

// TLS that ends within a text completes no message, whatever follows in clear.
func TestTLSEndsInText(t *testing.T) {
	for name, end := range map[string]func(*tls.Conn){
		"alert":              func(c *tls.Conn) { c.CloseWrite() },
		"end":                func(c *tls.Conn) { c.NetConn().Close() },
		"alert and text":     func(c *tls.Conn) { c.CloseWrite(); io.WriteString(c.NetConn(), ".\r\nQUIT\r\n") },
		"text":               func(c *tls.Conn) { io.WriteString(c.NetConn(), "\r\n.\r\nQUIT\r\n") },
		"record of old type": func(c *tls.Conn) { io.WriteString(c.NetConn(), "\x17\x03\x03\x00\x05\r\n.\r\n") },
	} {
		for _, more := range []string{"", "\r\n", "\r\n."} {
			r, trust := newTLSRig(t, nil)
			c := r.greeted().startTLS(trust)
			c.say("EHLO c\r\n"+envelope+"DATA\r\n", "250", "250", "250", "354")
			c.say(letter + more)
			end(c.Conn.(*tls.Conn))
			r.ended(0)
			c.Close()
			if len(r.up.messages) != 0 {
				t.Errorf("%s behind %q completes a message", name, more)
			}
		}
	}
}

// A session ends in good time whatever it waits for: the idle client of TLS is
// told, one in a handshake cannot be.
func TestShutdownOfTLS(t *testing.T) {
	var log *keptLog
	r, trust := newTLSRig(t, func(o *relay.Options) { log = keeps(o) })
	idle := r.greeted().startTLS(trust)
	idle.say("EHLO c\r\n", "250")
	hanging := r.greeted()
	hanging.say("STARTTLS\r\n", "220")
	deep := r.greeted().startTLS(trust)
	deep.say("EHLO c\r\n"+envelope+"DATA\r\n", "250", "250", "250", "354")
	ended := make(chan error, 1)
	go func() { ended <- r.relay.Shutdown(context.Background()) }()
	idle.say("", "421 ")
	idle.wantEnd()
	hanging.silent()
	deep.say(letter+".\r\n", "250", "421")
	deep.Close()
	idle.Close()
	hanging.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	log.lacks(t, "handshake failed", "level=WARN")
}

// A client of TLS that takes nothing is cut off as soon as one in clear.
func TestCutOfDeafTLS(t *testing.T) {
	r, trust := newTLSRig(t, nil)
	c := r.greeted().startTLS(trust)
	c.say("EHLO c\r\n", "250")
	c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	for flood := strings.Repeat("HELP\r\n", 10000); ; {
		if _, err := io.WriteString(c, flood); err != nil {
			break
		}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	r.relay.Shutdown(ctx)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it takes %v", took)
	}
}
