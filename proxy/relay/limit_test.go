package relay_test

import (
	"bufio"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

func soon() time.Time { return time.Now().Add(200 * time.Millisecond) }

func TestNetworks(t *testing.T) {
	wide := relay.Networks{IPv4: 24, IPv6: 48}
	for _, c := range []struct {
		by           relay.Networks
		client, want string
	}{
		{relay.OwnAddress, "192.0.2.7", "192.0.2.7/32"},
		{relay.OwnAddress, "::ffff:192.0.2.7", "192.0.2.7/32"},
		{relay.OwnAddress, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{relay.OwnAddress, "fe80::1%eth0", "fe80::/64"},
		{wide, "192.0.2.7", "192.0.2.0/24"},
		{wide, "2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"},
	} {
		if got := c.by.Of(netip.MustParseAddr(c.client)).String(); got != c.want {
			t.Errorf("%s is counted as %s, want %s", c.client, got, c.want)
		}
	}
	if got := relay.OwnAddress.Of(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is counted as %s", got)
	}
}

// clientAt is a client at another address of the loopback network.
func (r *rig) clientAt(address string) *client {
	r.Helper()
	conn := r.dialFrom(address)
	r.Cleanup(func() { conn.Close() })
	return &client{r.T, conn, bufio.NewReader(conn)}
}

// All clients of a network share its limit, also when that is changed while
// sessions are open.
func TestClientNetwork(t *testing.T) {
	r := newRig(t, func(o *relay.Options) { o.Limiter.Resize(0, 1, relay.Networks{IPv4: 24, IPv6: 64}) })
	one := r.clientAt("127.1.1.1")
	one.say("", "220")
	r.clientAt("127.1.1.2").say("", "421")
	r.clientAt("127.1.2.1").say("", "220")
	r.limiter.Resize(0, 1, relay.OwnAddress)
	r.clientAt("127.1.1.1").say("", "220")
	one.say("QUIT\r\n", "221")
}

// Sessions are counted in all and for each client, refused with a reason, and
// counted out at their end.
func TestSessionLimits(t *testing.T) {
	for reason, limiter := range map[string]*relay.Limiter{
		"too_many_sessions":           relay.NewLimiter(2, 0),
		"too_many_sessions_of_client": relay.NewLimiter(0, 2),
	} {
		r := newRig(t, func(o *relay.Options) { o.Limiter = limiter })
		one, two := r.dial(), r.dial()
		one.say("", "220")
		two.say("", "220")
		for range 3 {
			three := r.dial()
			if got := three.reply(); !strings.HasPrefix(got, "421 4.7.0 weir.example Too many connections") {
				t.Errorf("the third session is told %q", got)
			}
			three.wantEnd()
		}
		if got := r.journal.with("refused"); !strings.Contains(got, "reason="+reason+" ") {
			t.Errorf("the log has %q, want reason %s", got, reason)
		}
		one.say("QUIT\r\n", "221")
		one.wantEnd()
		one.Close()
		r.ended(1)
		r.dial().say("", "220")
	}
}

// ended waits until so many sessions are left.
func (r *rig) ended(left int) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if n, _ := r.limiter.Counted(); n == left {
			return
		}
	}
	r.Fatal("a session does not end")
}

func TestErrorLimit(t *testing.T) {
	p := newPlay(t, strings.Repeat("BLAH\r\n", 10))
	p.options.MaxErrors = 3
	p.run(t)
	p.wantCodes(t, "220 500 500 500 421")
	if !strings.Contains(string(p.heard), "weir.example Too many errors, closing connection (id ") {
		t.Errorf("the client heard %q", p.heard)
	}
	if got := p.journal.with("refused"); !strings.Contains(got, "reason=too_many_errors") {
		t.Errorf("the log has %q", got)
	}
}

// A delivered message shows that the client means well.
func TestErrorsAreForgiven(t *testing.T) {
	mail := envelope + "DATA\r\n" + letter + ".\r\n"
	p := newPlay(t, hello+strings.Repeat("BLAH\r\nBLAH\r\n"+mail, 4)+"QUIT\r\n")
	p.options.MaxErrors = 3
	p.run(t)
	if got := p.codes(t); !strings.HasSuffix(got, "221") {
		t.Errorf("the client heard %s", got)
	}
}

func TestCommandLineLimit(t *testing.T) {
	const limit = 512
	fits := "NOOP " + strings.Repeat("x", limit-len("NOOP \r\n")) + "\r\n"
	for line, want := range map[string]string{
		fits:                                 "220 250 221",
		"x" + fits:                           "220 500 221",
		strings.Repeat("x", 100000) + "\r\n": "220 500 221",
		strings.Repeat("x", 100000) + "\n" + strings.Repeat("x", 100000) + "\r\n": "220 500 221",
		strings.Repeat("x", 2<<20):                    "220 500 421",
		"AUTH " + strings.Repeat("x", 12000) + "\r\n": "220 503 221",
	} {
		p := newPlay(t, line+"QUIT\r\n")
		p.options.CommandLine = limit
		p.run(t)
		p.wantCodes(t, want)
	}
}

// Who finds all upstream connections in use waits, and is told.
func TestUpstreamConnections(t *testing.T) {
	r := newRig(t, func(o *relay.Options) {
		o.Upstream = behind(newFleet(), o.Upstream.Name, 1)
		o.Timeouts.Upstream.Connect = 300 * time.Millisecond
	})
	one, two := r.dial(), r.dial()
	one.say("", "220")
	one.say(hello, "250")
	two.say("", "220")
	two.say(hello, "421")
	two.wantEnd()
	if got := r.journal.with("upstream failed"); !strings.Contains(got, "max_connections") {
		t.Errorf("the log has %q", got)
	}
	three := r.dial()
	three.say("", "220")
	one.say("QUIT\r\n", "221")
	three.say(hello, "250")
}
