package milter_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	front "github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/milter"
)

// metered has a door count for m.
func metered(m *filtertest.Metrics) setting {
	return func(c *config) {
		env := filters.Env{Metrics: m}
		c.milter.Meters = milter.NewMeters(env, front.NewMeters(env))
	}
}

// Events, connections and SMTP sessions are counted.
func TestCounted(t *testing.T) {
	counts := filtertest.NewMetrics()
	d := open(t, everything(), metered(counts))
	m := d.ask()
	m.play(filters.Connect, filters.EOM, hello)
	if now, sessions := counts.Get("mailweir_milter_connections", "test"), counts.Get("mailweir_sessions", "test"); now != 1 || sessions != 1 {
		t.Errorf("%v connections with %v sessions are under way", now, sessions)
	}
	m.Close()
	waitFor(t, func() bool { return counts.Get("mailweir_milter_connections", "test") == 0 })
	want := map[string]float64{"test closed": 1}
	if got := counts.All("mailweir_sessions_total"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sessions ended as %v, want %v", got, want)
	}
	if n := counts.Get("mailweir_sessions", "test"); n != 0 {
		t.Errorf("%v sessions are under way in the end", n)
	}
	want = map[string]float64{"test negotiate": 1, "test connect": 1, "test helo": 1, "test mail": 1, "test rcpt": 1, "test data": 1,
		"test header": 2, "test eoh": 1, "test body": 1, "test eom": 1, "test quit": 1, "test macros": 0}
	got := counts.All("mailweir_milter_events_total")
	want["test macros"] = got["test macros"] // as many as the library likes
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted events %v, want %v", got, want)
	}
}

// A connection that ends otherwise says why, once its client is known.
func TestEndsCounted(t *testing.T) {
	known, stranger := bytes.Join(packets()[:4], nil), negotiation
	for what, tc := range map[string]struct {
		first, then []byte
		events      string // that first ends with
		want        string
	}{
		"a bad packet":   {known, []byte{0, 0, 0, 0}, "helo", "map[test bad_packet:1]"},
		"half a session": {known, nil, "helo", "map[test mta_lost:1]"},
		"no client":      {stranger, nil, "negotiate", "map[]"},
	} {
		counts := filtertest.NewMetrics()
		d := open(t, everything(), metered(counts))
		conn := d.dial()
		conn.Write(tc.first)
		waitFor(t, func() bool { return counts.Get("mailweir_milter_events_total", "test", tc.events) == 1 })
		if tc.events == "helo" {
			waitFor(t, func() bool { return counts.Get("mailweir_sessions", "test") == 1 })
		}
		conn.Write(tc.then)
		if tc.then != nil {
			gone(conn)
		}
		conn.Close()
		waitFor(t, func() bool { return counts.Get("mailweir_milter_connections", "test") == 0 })
		if got := fmt.Sprint(counts.All("mailweir_sessions_total")); got != tc.want {
			t.Errorf("%s: counted %s, want %s", what, got, tc.want)
		}
	}
}

// A connection for which there is no room is no session, and hits a limit.
func TestTurnedAwayCounted(t *testing.T) {
	counts := filtertest.NewMetrics()
	d := open(t, everything(), metered(counts), options(func(c *config) { c.milter.MaxConnections = 1 }))
	m := d.ask()
	if err := gone(d.dial()); err != nil {
		t.Error(err)
	}
	if n := counts.Get("mailweir_limits_total", "test", "too_many_connections"); n != 1 {
		t.Errorf("counted %v limits", n)
	}
	if got := fmt.Sprint(counts.All("mailweir_sessions_total")); got != "map[test turned_away:1]" {
		t.Errorf("counted %s", got)
	}
	m.Close()
}

// A message that is refused for a limit is counted.
func TestLimitsCounted(t *testing.T) {
	counts := filtertest.NewMetrics()
	d := open(t, everything(), metered(counts))
	m := d.ask()
	long := message{body: hello.body}
	for range 20 {
		long.fields = append(long.fields, [2]string{"X", strings.Repeat("x", 60_000)})
	}
	if got := m.play(filters.Connect, filters.EOM, long); !strings.Contains(got, "552 5.3.4 ") {
		t.Errorf("the MTA hears %q", got)
	}
	if n := counts.Get("mailweir_limits_total", "test", "header_too_large"); n != 1 {
		t.Errorf("counted %v limits", n)
	}
}
