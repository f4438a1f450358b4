package relay_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/access"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/ipset"
	"github.com/mailweir/mailweir/proxy/relay"
)

// foe is the network of denied clients: a part of loopback.
const foe = "127.1.0.0/24"

// denies has a relay drop clients of that network, and count in m. In a session
// it does that if its entry has a deadline.
func denies(t *testing.T, o *relay.Options, m *filtertest.Metrics, deadline time.Duration, change ...func(*chain.Spec)) {
	t.Helper()
	env := filters.Env{Log: o.Log, Now: time.Now, Metrics: m}
	spec := chain.Spec{
		Kind:    access.Kind,
		Conf:    &access.Config{Deny: []ipset.Net{mustNet(foe)}},
		Action:  chain.Drop,
		Timeout: deadline,
	}
	for _, f := range change {
		f(&spec)
	}
	c, err := chain.Build(env, []chain.Spec{spec}, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	o.Chain, o.Meters = c.For(o.Name), metered(m)
}

// visit connects from an address, says something, and returns all that it hears
// until the relay closes.
func (r *rig) visit(from, says string) string {
	r.Helper()
	conn := r.dialFrom(from)
	defer conn.Close()
	io.WriteString(conn, says)
	heard, err := io.ReadAll(conn)
	if err != nil {
		r.Errorf("after %q: %v", heard, err)
	}
	return string(heard)
}

func (r *rig) dialFrom(from string) net.Conn {
	r.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))}
	conn, err := dialer.Dial("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// changing is what differs from session to session.
var changing = regexp.MustCompile(`\bid[ =]([0-9a-z]{12})|127\.1\.0\.9:[0-9]+`)

// Who is denied at once hears what it would in a session, and so do the log and
// the metrics: but there was none.
func TestDeniedAsInASession(t *testing.T) {
	for name, change := range map[string]func(*relay.Options){
		"":                        func(*relay.Options) {},
		"a limit":                 func(o *relay.Options) { o.Limiter = relay.NewLimiter(1, 0); o.Limiter.SetRate(1) },
		"another address is told": func(o *relay.Options) { o.XClientFrom = listed("127.2.0.0/16"); o.ProxyFrom = listed("127.2.0.0/16") },
	} {
		var told, logged [2]string
		var counted [2]map[string]float64
		for i, deadline := range []time.Duration{0, time.Minute} {
			m := filtertest.NewMetrics()
			r := newRig(t, func(o *relay.Options) { denies(t, o, m, deadline); change(o) })
			told[i] = r.visit("127.1.0.9", "")
			r.ended(0)
			logged[i] = r.journal.with("refused")
			counted[i] = allOf(m)
			if most := m.Greatest("mailweir_sessions", "test"); int(most) != i {
				t.Errorf("%s: there were %v sessions, want %d", name, most, i)
			}
			id := regexp.MustCompile(`\(id ([0-9a-z]{12})\)\r\n$`).FindStringSubmatch(told[i])
			if id == nil || !strings.Contains(logged[i], "id="+id[1]) {
				t.Errorf("%s: the id of %q is not in the log: %s", name, told[i], logged[i])
			}
			told[i], logged[i] = changing.ReplaceAllString(told[i], ""), changing.ReplaceAllString(logged[i], "")
		}
		if !strings.HasPrefix(told[0], "521 5.7.1 Mail from 127.1.0.9 is not accepted here") {
			t.Errorf("%s: the client hears %q", name, told[0])
		}
		for _, diff := range []string{cmp.Diff(told[1], told[0]), cmp.Diff(logged[1], logged[0]), cmp.Diff(counted[1], counted[0])} {
			if diff != "" {
				t.Errorf("%s: - in a session, + at once:\n%s", name, diff)
			}
		}
	}
}

// allOf returns what the metrics of a refused session are about.
func allOf(m *filtertest.Metrics) map[string]float64 {
	all := map[string]float64{}
	for _, name := range []string{"sessions", "sessions_total", "verdicts_total", "limits_total", "client_sent_bytes_total", "filter_seconds"} {
		for labels, n := range m.All("mailweir_" + name) {
			all[name+" "+labels] = n
		}
	}
	return all
}

// Limits go first, as they do before a session.
func TestDeniedBeyondALimit(t *testing.T) {
	m := filtertest.NewMetrics()
	r := newRig(t, func(o *relay.Options) {
		denies(t, o, m, 0)
		o.Limiter = relay.NewLimiter(1, 0)
	})
	one := r.dial()
	one.say("", "220")
	if got := r.visit("127.1.0.9", ""); !strings.HasPrefix(got, "421 4.7.0 ") {
		t.Errorf("the client hears %q", got)
	}
	if got := r.journal.with("refused"); !strings.Contains(got, "reason=too_many_sessions ") {
		t.Errorf("the log has %q", got)
	}
	if n := m.All("mailweir_verdicts_total"); len(n) > 0 {
		t.Errorf("counted %v", n)
	}
}

// Who may have more to tell has a session, whatever its own address is.
func TestDeniedInASessionOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*relay.Options)
		entry  func(*chain.Spec)
		hears  string
	}{
		"a proxy":          {func(o *relay.Options) { proxied(o); o.ProxyFrom = listed(foe) }, nil, "220"},
		"an XCLIENT peer":  {func(o *relay.Options) { o.XClientFrom = listed(foe) }, nil, "521"},
		"a delayed entry":  {func(*relay.Options) {}, func(s *chain.Spec) { s.Action = chain.Enforce }, "220"},
		"an observed one":  {func(*relay.Options) {}, func(s *chain.Spec) { s.Action = chain.Ignore }, "220"},
		"another listener": {func(*relay.Options) {}, func(s *chain.Spec) { s.Listeners = []string{"other"} }, "220"},
	} {
		m := filtertest.NewMetrics()
		r := newRig(t, func(o *relay.Options) {
			denies(t, o, m, 0, func(s *chain.Spec) {
				if tc.entry != nil {
					tc.entry(s)
				}
			})
			tc.change(o)
		})
		says := "QUIT\r\n"
		if name == "a proxy" {
			says = header(t, 1, "198.51.100.7:4711") + says
		}
		if got := r.visit("127.1.0.9", says); !strings.HasPrefix(got, tc.hears) {
			t.Errorf("%s hears %q, want %s", name, got, tc.hears)
		}
		r.ended(0)
		if n := m.Greatest("mailweir_sessions", "test"); n != 1 {
			t.Errorf("%s has %v sessions, want 1", name, n)
		}
	}
}

// With TLS from the first octet the words are within TLS.
func TestDeniedInTLS(t *testing.T) {
	m := filtertest.NewMetrics()
	r, config := newTLSRig(t, func(o *relay.Options) { denies(t, o, m, 0); o.TLS.Implicit = true })
	conn := r.dialFrom("127.1.0.9")
	defer conn.Close()
	c := &client{T: t, Conn: conn}
	c.shake(config).say("", "521")
}

// A log that fails ends one client's connection, and no other's.
func TestDeniedPanic(t *testing.T) {
	m := filtertest.NewMetrics()
	r := newRig(t, func(o *relay.Options) {
		o.Log = slog.New(&journal{panicAt: "refused"})
		denies(t, o, m, 0)
	})
	if got := r.visit("127.1.0.9", ""); !strings.HasPrefix(got, "421 4.3.0 ") {
		t.Errorf("the client hears %q", got)
	}
	r.dial().say("", "220")
}

// Two thousand denied connections, as fast as they come, are refused, and mail goes
// on meanwhile.
func TestDeniedFlood(t *testing.T) {
	const clients, each, mails = 4, 500, 20
	m := filtertest.NewMetrics()
	r := newRig(t, func(o *relay.Options) { denies(t, o, m, 0); o.Log = slog.New(slog.DiscardHandler) })
	var crowd sync.WaitGroup
	for i := range clients {
		crowd.Go(func() {
			for range each {
				if got := r.visit(netip.AddrFrom4([4]byte{127, 1, 0, byte(i + 1)}).String(), ""); !strings.HasPrefix(got, "521 5.7.1 ") {
					t.Errorf("a denied client hears %q", got)
				}
			}
		})
	}
	for range mails {
		r.deliverOne("<b@y.example>")
	}
	crowd.Wait()
	r.ended(0)
	if n := m.Get("mailweir_sessions_total", "test", "refused"); n != clients*each {
		t.Errorf("%v clients were refused, want %d", n, clients*each)
	}
	r.up.note(func() {
		if got := len(r.up.messages); got != mails {
			t.Errorf("%d messages have arrived, want %d", got, mails)
		}
	})
}

// Denied clients that stay where they are cost no goroutine.
func TestDeniedKeepNothing(t *testing.T) {
	const clients = 200
	r := newRig(t, func(o *relay.Options) { denies(t, o, filtertest.NewMetrics(), 0) })
	r.visit("127.1.0.9", "")
	before := runtime.NumGoroutine()
	for range clients {
		conn := r.dialFrom("127.1.0.9")
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if now := runtime.NumGoroutine(); now > before+clients/10 {
		t.Errorf("%d goroutines, %d before", now, before)
	}
}

// A client that talks before it listens hears the words all the same.
func TestDeniedTalksFirst(t *testing.T) {
	r := newRig(t, func(o *relay.Options) { denies(t, o, filtertest.NewMetrics(), 0) })
	for range 100 {
		conn := r.dialFrom("127.1.0.9")
		io.WriteString(conn, "EHLO spam.example\r\n")
		heard, err := io.ReadAll(conn)
		if errors.Is(err, syscall.ECONNRESET) { // what came behind the end is answered so
			err = nil
		}
		if !strings.HasPrefix(string(heard), "521 5.7.1 ") || err != nil {
			t.Errorf("the client hears %q, %v", heard, err)
		}
		conn.Close()
	}
}
