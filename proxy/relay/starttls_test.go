package relay_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
)

// exchange is what a client says, and the codes of the replies.
type exchange struct {
	say   string
	codes []string
}

func (e exchange) with(c *client) { c.Helper(); c.say(e.say, e.codes...) }

// What a client has said in clear is forgotten behind STARTTLS (RFC 3207
// section 4.2): it has to greet again, and is in no transaction.
func TestSTARTTLSForgets(t *testing.T) {
	in := exchange{envelope, []string{"250", "250"}}
	for _, test := range []struct{ before, after exchange }{
		{exchange{"NOOP\r\n", []string{"250"}}, exchange{"MAIL FROM:<a@x.example>\r\n", []string{"503"}}},
		{in, exchange{"RCPT TO:<b@y.example>\r\n", []string{"503"}}},
		{in, exchange{"DATA\r\n", []string{"503"}}},
		{in, exchange{"BDAT 3 LAST\r\nabc", []string{"502"}}},
		{in, exchange{"BDAT 6\r\nNOOP\r\n", []string{"502"}}},
		{in, exchange{"VRFY x\r\n", []string{"503"}}},
		{in, exchange{"AUTH PLAIN x\r\n", []string{"503"}}},
		{in, exchange{"STARTTLS\r\n", []string{"503"}}},
		{in, exchange{"EHLO d\r\nRCPT TO:<b@y.example>\r\n", []string{"250", "503"}}},
		{in, exchange{"EHLO d\r\nDATA\r\n", []string{"250", "503"}}},
		{exchange{envelope + "BDAT 3\r\nabc", []string{"250", "250", "250"}}, exchange{"EHLO d\r\nBDAT 3 LAST\r\nabc", []string{"250", "503"}}},
	} {
		var saw *seer
		r, trust := newTLSRig(t, func(o *relay.Options) { saw = sees(t, o) })
		c := r.greeted()
		test.before.with(c)
		c = c.startTLS(trust)
		test.after.with(c)
		c.say("EHLO e\r\n", "250")
		c.say(envelope+"DATA\r\n", "250", "250", "354")
		c.say(letter+".\r\nQUIT\r\n", "250", "221")
		if s := saw.last(t, filters.Mail); s.Helo != "e" || s.TLS.Version != "TLSv1.3" {
			t.Errorf("at MAIL the chain knows of %q, %+v", s.Helo, s.TLS)
		}
		if len(r.up.messages) != 1 {
			t.Errorf("the upstream has %d messages", len(r.up.messages))
		}
	}
}

// Who has logged in in clear is nobody behind STARTTLS, to us and to the
// upstream: somebody in between could have done that.
func TestSTARTTLSForgetsWhoLoggedIn(t *testing.T) {
	up := newAnswering(t, func(line string) string {
		if strings.HasPrefix(line, "AUTH") {
			return "235 2.7.0 Welcome"
		}
		return ""
	})
	var saw *seer
	r, trust := newTLSRig(t, func(o *relay.Options) {
		o.Upstream = behind(newFleet(), up.addr, 1)
		saw = sees(t, o)
	})
	c := r.greeted()
	c.say("AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n", "235")
	c.say("MAIL FROM:<a@x.example>\r\n", "250")
	if got := saw.last(t, filters.Mail).AuthUser; got != "joe" {
		t.Fatalf("it is %q who has logged in", got)
	}
	c = c.startTLS(trust)
	c.say("EHLO d\r\nMAIL FROM:<a@x.example>\r\n", "250", "250")
	if s := saw.last(t, filters.Mail); s.AuthUser+s.AuthType != "" {
		t.Errorf("the chain takes the client for %s %s", s.AuthType, s.AuthUser)
	}
	c.say("RSET\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n", "250", "235")
	c.say("QUIT\r\n", "221")
	if heard := up.heard(); !strings.Contains(heard, "2 MAIL") {
		t.Errorf("the upstream takes mail where somebody has logged in:\n%s", heard)
	}
}

func TestSTARTTLSOutOfPlace(t *testing.T) {
	r, trust := newTLSRig(t, nil)
	c := r.dial()
	c.say("", "220")
	c.say("STARTTLS\r\n", "503")
	c.say("EHLO c\r\nSTARTTLS now\r\n", "250", "501")
	c = c.startTLS(trust)
	c.say("STARTTLS\r\nEHLO c\r\nSTARTTLS\r\nSTARTTLS x\r\n", "503", "250", "503", "501")
	c.say("QUIT\r\n", "221")

	c = newRig(t, nil).greeted()
	c.say("STARTTLS\r\nQUIT\r\n", "502", "221")
}

// STARTTLS is offered in clear only, and never twice.
func TestSTARTTLSOffer(t *testing.T) {
	r, trust := newTLSRig(t, nil)
	c := r.dial()
	c.say("", "220")
	if got := c.offers("EHLO c"); strings.Count(got, "STARTTLS") != 1 {
		t.Errorf("in clear it offers %q", got)
	}
	c = c.startTLS(trust)
	if got := c.offers("EHLO c"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "PIPELINING") {
		t.Errorf("in TLS it offers %q", got)
	}
	if got := c.offers("HELO c"); strings.Contains(got, "STARTTLS") {
		t.Errorf("to HELO it says %q", got)
	}
}

// offers returns the whole reply to a greeting.
func (c *client) offers(greeting string) string {
	c.Helper()
	fmt.Fprintf(c, "%s\r\n", greeting)
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.Fatal(err)
		}
		all.WriteString(line)
		if line[3] == ' ' {
			return all.String()
		}
	}
}

// What was sent in clear behind STARTTLS is never a command, whether it comes
// in the same segment or later (CVE-2011-0411).
func TestSTARTTLSInjection(t *testing.T) {
	for _, injected := range []string{
		"MAIL FROM:<evil@x.example>\r\n", "EHLO evil\r\nMAIL FROM:<evil@x.example>\r\n", "NO", "NOOP evil\n", "QUIT\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", strings.Repeat("NOOP evil\r\n", 1000),
	} {
		var log *keptLog
		r, trust := newTLSRig(t, func(o *relay.Options) { log = keeps(o) })
		c := r.greeted()
		c.say("STARTTLS\r\n"+injected, "220")
		if len(injected) < 2000 { // more comes in segments of its own
			c = c.shake(trust)
			c.say("NOOP\r\nEHLO c\r\nMAIL FROM:<a@x.example>\r\n", "250", "250", "250")
			c.say("QUIT\r\n", "221")
			log.line(t, "level=WARN", "behind STARTTLS", fmt.Sprintf("octets=%d", len(injected)))
		}

		c = r.greeted()
		c.say("STARTTLS\r\n", "220")
		io.WriteString(c, injected)
		if len(injected) >= 5 { // the head of a TLS record
			c.silent()
		}
		c.Close()
		r.ended(0)
		r.up.mu.Lock()
		if heard := strings.Join(r.up.commands, "\n"); strings.Contains(heard, "evil") {
			t.Errorf("%.50q came to the upstream:\n%s", injected, heard)
		}
		r.up.mu.Unlock()
	}
}

// hello returns the octets with which a client begins TLS.
func clientHello(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() { tls.Client(far, config).Handshake(); far.Close() }()
	buf := make([]byte, 1<<14)
	n, err := near.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// A handshake may be cut anywhere, hang, or be none.
func TestBrokenHandshakes(t *testing.T) {
	var log *keptLog
	r, trust := newTLSRig(t, func(o *relay.Options) {
		log = keeps(o)
		o.Timeouts.Handshake = 2 * time.Second
	})
	trust.CurvePreferences = []tls.CurveID{tls.X25519}
	octets := clientHello(t, trust)
	for n := range len(octets) {
		c := r.greeted()
		c.say("STARTTLS\r\n", "220")
		c.Write(octets[:n])
		c.Close()
	}
	for _, junk := range []string{"\x16\x03\x01\xff\xff", "\x80\x2e\x01\x00\x02", "\x15\x03\x01\x00\x02\x02\x28", "GET / HTTP/1.1\r\n\r\n",
		"\x16\x03\x01\x00\x04\x01\xff\xff\xff", "\x17\x03\x03\x00\x01x", "\x14\x03\x03\x00\x01\x01\x17"} {
		c := r.greeted()
		c.say("STARTTLS\r\n", "220")
		io.WriteString(c, junk)
		c.Conn.(*net.TCPConn).CloseWrite()
		c.silent()
		c.Close()
	}
	began := time.Now()
	c := r.greeted()
	c.say("STARTTLS\r\n", "220")
	c.Write(octets[:len(octets)-1])
	c.silent()
	if took := time.Since(began); took < time.Second || took > 10*time.Second {
		t.Errorf("a handshake that hangs takes %v", took)
	}
	c.Close()
	r.ended(0)
	log.lacks(t, "panic", "level=WARN", "level=ERROR")
}

// All but a few commands are refused until TLS is there (RFC 3207 section 4).
func TestRequireTLS(t *testing.T) {
	r, trust := newTLSRig(t, func(o *relay.Options) { o.TLS.Require = true })
	c := r.greeted()
	for _, line := range []string{"MAIL FROM:<a@x.example>", "RCPT TO:<b@y.example>", "DATA", "RSET", "HELO c", "VRFY x", "EXPN x", "HELP", "ETRN x",
		"AUTH PLAIN AGpvZQBzZWNyZXQ=", "XCLIENT ADDR=192.0.2.1", "BLAH"} {
		c.say(line+"\r\n", "530")
	}
	c.say("NOOP\r\nEHLO c\r\n"+envelope+"DATA\r\n", "250", "250", "530", "530", "530")
	c.say("BDAT 14 LAST\r\nNOOP\r\nQUIT x\r\nNOOP\r\n", "503", "250")
	c = c.startTLS(trust)
	c.say("EHLO c\r\n"+envelope+"DATA\r\n", "250", "250", "250", "354")
	c.say(letter+".\r\nQUIT\r\n", "250", "221")

	c = r.dial()
	c.say("", "220")
	c.say("QUIT\r\n", "221")
	c.wantEnd()
}
