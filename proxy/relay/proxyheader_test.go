package relay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
	"github.com/mailweir/mailweir/proxy/relay"
)

// header returns a PROXY header of that version.
func header(t testing.TB, version int, client string) string {
	t.Helper()
	dest := "192.0.2.25:25"
	if strings.HasPrefix(client, "[") {
		dest = "[2001:db8::25]:25"
	}
	h, err := haproxy.Append(nil, version, haproxy.Header{Source: netip.MustParseAddrPort(client), Dest: netip.MustParseAddrPort(dest)})
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// proxied has a relay want PROXY headers.
func proxied(o *relay.Options) {
	o.ProxyFrom = listed("127.0.0.0/8")
	o.Timeouts.Header = o.Timeouts.Command
}

// The chain and the log know the client that the header tells of, wherever the
// header is cut.
func TestProxyHeader(t *testing.T) {
	for _, client := range []string{"198.51.100.7:4711", "[2001:db8::7]:4711"} {
		for version := 1; version <= 2; version++ {
			var saw *seer
			var log *keptLog
			r := newRig(t, func(o *relay.Options) { proxied(o); log = keeps(o); saw = sees(t, o) })
			octets := header(t, version, client)
			for cut := range len(octets) + 1 {
				c := r.dial()
				for _, part := range []string{octets[:cut], octets[cut:]} {
					io.WriteString(c, part)
				}
				c.say("", "220")
				c.say("EHLO c\r\nBLAH\r\nQUIT\r\n", "250", "500", "221")
				got := saw.last(t, filters.Connect)
				if got.Client.String() != client || got.Via.String() != c.LocalAddr().String() || got.Local.Port() != 25 {
					t.Fatalf("cut at %d: the client is %s by %s at %s", cut, got.Client, got.Via, got.Local)
				}
				c.Close()
			}
			if n := saw.times(filters.Connect); n != len(octets)+1 {
				t.Errorf("the chain was asked %d times", n)
			}
			c := r.dial()
			io.WriteString(c, octets+"EHLO c\r\nPROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n")
			c.say("", "220", "250", "421")
			c.wantEnd()
			log.line(t, "reason=proxy_header", "client="+client, "via="+c.LocalAddr().String())
			log.lacks(t, "client=127.0.0.1", `client="127.0.0.1`)
		}
	}
}

// A header that is cut off, or is none, ends the session; so does one from
// somebody who is not listed, and a second one.
func TestBadProxyHeaders(t *testing.T) {
	var saw *seer
	var log *keptLog
	r := newRig(t, func(o *relay.Options) { proxied(o); log = keeps(o); saw = sees(t, o) })
	for version := 1; version <= 2; version++ {
		octets := header(t, version, "198.51.100.7:4711")
		for cut := 1; cut < len(octets); cut++ {
			c := r.dial()
			io.WriteString(c, octets[:cut])
			c.Conn.(*net.TCPConn).CloseWrite()
			c.hear("421")
			c.wantEnd()
			c.Close()
		}
	}
	for _, octets := range []string{
		"EHLO c\r\n", "\r\nEHLO c\r\n", "QUIT\r\n", "proxy TCP4 1.2.3.4 1.2.3.5 1 2\r\n", "PROXY\r\nEHLO c\r\n", "PROXY TCP4 1.2.3.4 1.2.3.5 1 2\nEHLO c\r\n",
		"PROXY TCP4 300.2.3.4 1.2.3.5 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.5 1 99999\r\n", "PROXY " + strings.Repeat("x", 200), "\x16\x03\x01\x00\x05",
		" PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\n",
	} {
		c := r.dial()
		io.WriteString(c, octets)
		c.say("", "421")
		c.wantEnd()
		c.Close()
	}
	r.ended(0)
	if n := saw.times(filters.Connect); n > 0 {
		t.Errorf("the chain was asked %d times", n)
	}
	log.line(t, "level=WARN", "proxy_protocol_from", "client=127.0.0.1:")
}

// Only who is listed may send one, and nobody a second one.
func TestProxyHeaderUnwanted(t *testing.T) {
	for _, listen := range []relay.Peers{nil, listed("192.0.2.0/24", "198.51.100.7")} {
		for version := 1; version <= 2; version++ {
			var saw *seer
			r := newRig(t, func(o *relay.Options) { o.ProxyFrom = listen; saw = sees(t, o) })
			c := r.dial()
			c.say(header(t, version, "198.51.100.7:4711"), "220", "421")
			c.wantEnd()
			if got := saw.last(t, filters.Connect); got.Via.IsValid() || got.Client.Addr().String() != "127.0.0.1" {
				t.Errorf("the client is %s by %s", got.Client, got.Via)
			}
		}
	}
	p := newPlay(t, "EHLO c\r\nPROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nQUIT\r\n")
	p.cut = 1
	p.run(t)
	p.wantCodes(t, "220 250 421")
	for version := 1; version <= 2; version++ {
		var saw *seer
		r := newRig(t, func(o *relay.Options) { proxied(o); saw = sees(t, o) })
		c := r.dial()
		c.say(header(t, version, "127.0.0.1:4711")+header(t, version, "198.51.100.7:4711"), "220", "421")
		c.wantEnd()
		if got := saw.last(t, filters.Connect); got.Client.String() != "127.0.0.1:4711" {
			t.Errorf("the client is %s", got.Client)
		}
	}
}

// What a proxy says of itself is its own connection. One that says nothing and
// goes checks whether we live: nothing to warn of.
func TestProxyItself(t *testing.T) {
	var saw *seer
	var log *keptLog
	r := newRig(t, func(o *relay.Options) { proxied(o); log = keeps(o); saw = sees(t, o) })
	for _, octets := range []string{"PROXY UNKNOWN\r\n", "PROXY UNKNOWN 1.2.3.4 1.2.3.5 1 2\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		c := r.dial()
		c.say(octets+"EHLO c\r\n", "220", "250")
		if got := saw.last(t, filters.Connect); got.Client.String() != c.LocalAddr().String() || got.Via.IsValid() {
			t.Errorf("the client is %s by %s", got.Client, got.Via)
		}
		c.say("QUIT\r\n", "221")
		c.Close()
	}
	before := len(log.String())
	r.dial().Close()
	c := r.dial()
	c.Conn.(*net.TCPConn).CloseWrite()
	c.wantEnd()
	c.Close()
	for range 20 {
		c := r.dial()
		c.Conn.(*net.TCPConn).SetLinger(0)
		c.Close() // as haproxy's checks do
	}
	r.ended(0)
	if got := log.String()[before:]; strings.Contains(got, "WARN") || strings.Contains(got, "INFO") {
		t.Errorf("the log has %s", got)
	}
}

// A proxy that keeps its header back is told when its time is over. Until then
// its session counts, but as nobody's.
func TestSlowProxy(t *testing.T) {
	var log *keptLog
	r := newRig(t, func(o *relay.Options) {
		proxied(o)
		log = keeps(o)
		o.Timeouts.Header = 300 * time.Millisecond
		o.Limiter = relay.NewLimiter(3, 1)
	})
	one, two, three := r.dial(), r.dial(), r.dial()
	io.WriteString(two, "PROXY TCP4")
	io.WriteString(three, "\r\n\r\n\x00\r\nQUIT\n")
	four := r.dial() // as all places are taken
	four.say("", "421")
	for _, c := range []*client{one, two, three} {
		c.say("", "421")
		c.wantEnd()
		c.Close()
	}
	r.ended(0)
	log.line(t, "level=WARN", "none came in time")
	began := time.Now()
	c := r.dial()
	for _, b := range []byte("PROXY TCP4 192.0.2.1 ") { // a bit now and then does not help
		c.Write([]byte{b})
		time.Sleep(30 * time.Millisecond)
	}
	c.hear("421")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it takes %v", took)
	}
}

// Each client has its share of the sessions, whatever proxy it comes by.
func TestLimitBehindProxy(t *testing.T) {
	var log *keptLog
	r := newRig(t, func(o *relay.Options) { proxied(o); log = keeps(o); o.Limiter = relay.NewLimiter(0, 2) })
	var held []*client
	for i := range 6 {
		c := r.dial()
		c.say(header(t, 1+i%2, fmt.Sprintf("198.51.100.%d:4711", i/2)), "220")
		held = append(held, c)
	}
	c := r.dial()
	c.say(header(t, 1, "198.51.100.1:9999")+"EHLO c\r\n", "421 4.7.0 weir.example Too many")
	c.wantEnd()
	log.line(t, "reason=too_many_sessions_of_client", "client=198.51.100.1:9999", "via=127.0.0.1:", "stage=connect")
	held[2].say("QUIT\r\n", "221")
	held[2].Close()
	c.Close()
	r.ended(5)
	r.dial().say(header(t, 1, "198.51.100.1:9999"), "220")
	if _, networks := r.limiter.Counted(); networks != 3 {
		t.Errorf("%d networks are counted", networks)
	}
}

// Behind a proxy that only passes TLS on, the header comes first and in clear.
func TestProxyBeforeImplicitTLS(t *testing.T) {
	var saw *seer
	r, trust := newTLSRig(t, func(o *relay.Options) {
		proxied(o)
		implicit(o)
		o.Limiter = relay.NewLimiter(0, 1)
		saw = sees(t, o)
	})
	c := r.dial()
	io.WriteString(c, header(t, 2, "198.51.100.7:4711"))
	c = c.shake(trust)
	c.say("", "220")
	c.say("EHLO c\r\n", "250")
	if got := saw.last(t, filters.Helo); got.Client.String() != "198.51.100.7:4711" || got.TLS.Version == "" {
		t.Errorf("the client is %s, with %+v", got.Client, got.TLS)
	}
	for _, octets := range []string{"EHLO c\r\n", "PROXY TCP4 x\r\n", "PROXY", header(t, 1, "198.51.100.7:4712"), "\x16\x03\x01\x00\x05"} {
		c := r.dial()
		io.WriteString(c, octets)
		c.Conn.(*net.TCPConn).CloseWrite()
		if got, _ := io.ReadAll(c.Conn); len(got) > 0 && got[0] != 0x15 {
			t.Errorf("to %q it says in clear %q", octets, got)
		}
	}
}

// A proxy that has taken TLS off tells of it, and the client counts as encrypted.
func TestTLSToldByProxy(t *testing.T) {
	var saw *seer
	r, _ := newTLSRig(t, func(o *relay.Options) {
		proxied(o)
		saw = sees(t, o)
		o.TLS.Require = true
		o.PlainAuth = false
		o.Upstream = behind(newFleet(), newAnswering(t, func(string) string { return "" }).addr, 1)
	})
	told, err := haproxy.Append(nil, 2, haproxy.Header{
		Source: netip.MustParseAddrPort("198.51.100.7:4711"), Dest: netip.MustParseAddrPort("192.0.2.25:25"),
		TLS: &filters.TLS{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256"}, ServerName: "mx.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := r.dial()
	c.say(string(told), "220")
	if got := c.offers("EHLO c"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH") {
		t.Errorf("it offers %q", got)
	}
	c.say("STARTTLS\r\n"+envelope, "503", "250", "250")
	if got := saw.last(t, filters.Connect).TLS; got.Version != "TLSv1.3" || got.ServerName != "mx.example" {
		t.Errorf("at Connect the chain knows of %+v", got)
	}
}

// pregreet hears clients behind a proxy: its header is not early talk, what
// comes behind it is.
func TestPregreetBehindProxy(t *testing.T) {
	r := newRig(t, func(o *relay.Options) { proxied(o); pregreeting(t, o, nil, "{wait: 50ms, exempt: []}") })
	began := time.Now()
	c := r.dial()
	c.say(header(t, 1, "198.51.100.7:4711"), "220")
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("greeted after %v", took)
	}
	c.say("EHLO c\r\n", "250")
	c.say("MAIL FROM:<a@x.example>\r\n", "250")
	c = r.dial()
	c.say(header(t, 2, "198.51.100.8:4711")+"EHLO c\r\n", "220", "250")
	c.say(envelope, "250", "550")
}

// Who is owed a header ends with the service.
func TestShutdownBeforeHeader(t *testing.T) {
	var log *keptLog
	r := newRig(t, func(o *relay.Options) { proxied(o); log = keeps(o) })
	one, two := r.dial(), r.dial()
	io.WriteString(two, "PROXY ")
	r.ended(2)
	ended := make(chan error, 1)
	go func() { ended <- r.relay.Shutdown(context.Background()) }()
	for _, c := range []*client{one, two} {
		c.say("", "421 4.3.2")
		c.wantEnd()
		c.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	log.lacks(t, "level=WARN")
}
