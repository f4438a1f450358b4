package relay_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/ipset"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// metered returns meters whose figures go to m.
func metered(m *filtertest.Metrics) *relay.Meters {
	env := filters.Env{Metrics: m}
	return relay.NewMeters(env, door.NewMeters(env))
}

// Each session has one end, and each limit is counted by its reason.
func TestSessionEnds(t *testing.T) {
	const mail = hello + envelope + "DATA\r\n" + letter + ".\r\n"
	for name, tc := range map[string]struct {
		client string
		change func(p *play)
		end    string
		limit  string
	}{
		"quit":            {client: mail + "QUIT\r\n", end: "quit"},
		"lost":            {client: mail, end: "client_lost"},
		"lost in a text":  {client: hello + envelope + "DATA\r\nx", end: "client_lost"},
		"too many errors": {client: hello + strings.Repeat("X\r\n", 60), end: "limit", limit: "too_many_errors"},
		"no line end":     {client: strings.Repeat("x", 2<<20), end: "limit", limit: "line_without_end"},
		"slow": {client: hello, change: func(p *play) { p.more = inOneGo(hello, os.ErrDeadlineExceeded) },
			end: "client_timeout", limit: "client_timeout"},
		"a great chunk":        {client: hello + "BDAT 300000000\r\n", end: "limit", limit: "text_without_end"},
		"a bad chunk":          {client: hello + "BDAT x\r\n", end: "refused"},
		"refused":              {client: hello + envelope, change: func(p *play) { hangsUp(t, p) }, end: "refused"},
		"upstream unreachable": {client: hello, change: func(p *play) { p.on("220", "554 no\r\n", io.EOF) }, end: "upstream_lost"},
		"upstream lost":        {client: hello + envelope, change: func(p *play) { p.on("250", "", io.EOF) }, end: "upstream_lost"},
		"upstream says 421":    {client: hello, change: func(p *play) { p.on("250", "421 4.3.2 bye\r\n", io.EOF) }, end: "upstream_lost"},
		"no PROXY header":      {client: mail, change: behindProxy, end: "proxy_failed"},
		"panic": {client: hello + envelope, change: func(p *play) {
			p.options.Chain = newChain(t, p.options.Log, &stub{mail: func(*filters.Transaction) filters.Verdict { return filters.Failed(io.EOF) }})
			p.journal.panicAt = "filter failed"
		}, end: "panic"},
	} {
		t.Run(name, func(t *testing.T) {
			p, m := newPlay(t, tc.client), filtertest.NewMetrics()
			p.options.Meters = metered(m)
			if tc.change != nil {
				tc.change(p)
			}
			p.run(t)
			if got, want := m.All("mailweir_sessions_total"), map[string]float64{"test " + tc.end: 1}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("sessions ended as %v, want %v\n%s", got, want, p.heard)
			}
			want := map[string]float64{}
			if tc.limit != "" {
				want["test "+tc.limit] = 1
			}
			if got := m.All("mailweir_limits_total"); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("limits hit are %v, want %v", got, want)
			}
			if now, most := m.Get("mailweir_sessions", "test"), m.Greatest("mailweir_sessions", "test"); now != 0 || most != 1 {
				t.Errorf("sessions under way: %v, and %v at most", now, most)
			}
		})
	}
}

func hangsUp(t *testing.T, p *play) {
	p.options.Chain = newChain(t, p.options.Log, &stub{rcpt: func(*filters.Transaction) filters.Verdict {
		return filters.Refuse("gone", 521, [3]uint16{5, 7, 1}, "No")
	}})
}

func behindProxy(p *play) {
	p.options.ProxyFrom = ipset.Of([]ipset.Net{mustNet("0.0.0.0/0"), mustNet("::/0")})
	p.options.Timeouts.Header = time.Second
}

// mustNet reads a network.
func mustNet(s string) (n ipset.Net) {
	if err := n.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return n
}

// Who is turned away had no session, and hit a limit.
func TestTurnedAwayCounted(t *testing.T) {
	m := filtertest.NewMetrics()
	r := newRig(t, func(o *relay.Options) { o.Limiter, o.Meters = relay.NewLimiter(1, 0), metered(m) })
	one, two := r.dial(), r.dial()
	one.say("", "220")
	two.say("", "421")
	two.wantEnd()
	if got, want := fmt.Sprint(m.All("mailweir_sessions_total")), "map[test turned_away:1]"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(m.All("mailweir_limits_total")), "map[test too_many_sessions:1]"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	if n := m.Get("mailweir_sessions", "test"); n != 1 {
		t.Errorf("%v sessions are under way", n)
	}
}

// What clients send and hear is counted to the octet.
func TestTrafficCounted(t *testing.T) {
	const client = hello + envelope + "DATA\r\n" + letter + ".\r\nQUIT\r\n"
	p, m := newPlay(t, client), filtertest.NewMetrics()
	p.options.Meters = metered(m)
	p.run(t)
	if got := m.Get("mailweir_client_received_bytes_total", "test"); got != float64(len(client)) {
		t.Errorf("received %v octets, want %d", got, len(client))
	}
	if got := m.Get("mailweir_client_sent_bytes_total", "test"); got != float64(len(p.heard)) {
		t.Errorf("sent %v octets, want %d", got, len(p.heard))
	}
}

// A message that is held takes memory, then a file, and gives both back.
func TestSpoolCounted(t *testing.T) {
	body := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10_000)
	for end, client := range map[string]string{
		"delivered": hello + envelope + "DATA\r\n" + body + ".\r\nQUIT\r\n",
		"lost":      hello + envelope + "DATA\r\n" + body,
		"reset":     hello + envelope + fmt.Sprintf("BDAT %d\r\n%sRSET\r\nQUIT\r\n", len(body), body),
	} {
		p, m := newPlay(t, client), filtertest.NewMetrics()
		p.hold(t)
		p.options.Meters = metered(m)
		p.run(t)
		memory, disk := m.Greatest("mailweir_spool_bytes", "memory"), m.Greatest("mailweir_spool_bytes", "disk")
		if memory == 0 || memory > 256<<10 || memory+disk != float64(len(body)) || m.Greatest("mailweir_spool_files") != 1 {
			t.Errorf("%s: at most %v octets in memory, %v on disk, %v files", end, memory, disk, m.Greatest("mailweir_spool_files"))
		}
		if octets, files := m.All("mailweir_spool_bytes"), m.Get("mailweir_spool_files"); len(octets) > 0 || files != 0 {
			t.Errorf("%s: %v octets in %v files are left", end, octets, files)
		}
	}
}

// The upstream's time is counted by step.
func TestUpstreamSeconds(t *testing.T) {
	const client = hello + envelope + "RCPT TO:<c@y.example>\r\nDATA\r\n" + letter + ".\r\nNOOP\r\nQUIT\r\n"
	for _, held := range []bool{false, true} {
		p, m := newPlay(t, client), filtertest.NewMetrics()
		p.fleet = upstream.NewFleet(filters.Env{Log: quiet, Now: time.Now, Metrics: m})
		p.fleet.Dial = p.dial
		p.options.Upstream = behind(p.fleet, "192.0.2.25:25", maxConnections)
		if held {
			p.hold(t)
		}
		p.run(t)
		at := "192.0.2.25:25 "
		want := map[string]float64{at + "connect": 1, at + "helo": 1, at + "mail": 1, at + "rcpt": 2, at + "data": 1, at + "end_of_data": 1, at + "other": 2}
		if got := m.All("mailweir_upstream_seconds"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("held %v: counted %v, want %v", held, got, want)
		}
	}
}
