package pregreet_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/internal/store"
	"github.com/mailweir/mailweir/filters/pregreet"
)

const (
	client4 = "198.51.100.7"
	client6 = "2001:db8:1:2::7"
)

// gate is a filter with all that it has from its host.
type gate struct {
	*testing.T
	filters.ConnectFilter
	filters.ConductFilter
	filters.MessageFilter
	now     time.Time
	metrics metrics
}

// newGate returns a filter with a memory, in whose world the clock stands still
// but for Sleep.
func newGate(t *testing.T, options string) *gate {
	g := &gate{T: t, now: filtertest.Now, metrics: metrics{}}
	env, _ := filtertest.Env("")
	env.Now = func() time.Time { return g.now }
	env.Store = store.New(store.Options{Entries: 100, Env: env})
	env.Metrics = g.metrics
	f := filtertest.New[filters.Filter](t, env, pregreet.Kind, options)
	g.ConnectFilter, g.ConductFilter, g.MessageFilter = f.(filters.ConnectFilter), f.(filters.ConductFilter), f.(filters.MessageFilter)
	return g
}

// metrics are counters by name and label.
type metrics map[string]float64

func (m metrics) Counter(name, _ string, _ ...string) filters.Counter { return meter{m, name} }
func (m metrics) Gauge(name, _ string, _ ...string) filters.Gauge     { return meter{m, name} }
func (m metrics) Histogram(name, _ string, _ []float64, _ ...string) filters.Histogram {
	return meter{m, name}
}

type meter struct {
	metrics
	name string
}

func (m meter) Add(n float64, values ...string)     { m.metrics[m.name+" "+strings.Join(values, " ")] += n }
func (m meter) Set(n float64, values ...string)     { m.metrics[m.name+" "+strings.Join(values, " ")] = n }
func (m meter) Observe(n float64, values ...string) { m.metrics[m.name] += n }

// wire is a client that talks, or leaves, after a while.
type wire struct {
	says   string
	after  time.Duration // 0 for never
	deaf   bool          // it has left before the teaser
	teased string
	waited bool
}

func (w *wire) Tease(text string) error {
	w.teased = text
	if w.deaf {
		return errors.New("gone")
	}
	return nil
}

func (w *wire) Listen(ctx context.Context, wait time.Duration) []byte {
	w.waited = true
	talks := make(<-chan time.Time)
	if w.after > 0 {
		talks = time.After(w.after)
	}
	select {
	case <-talks:
		return []byte(w.says)
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return nil
}

// connect begins a session and returns it, with the verdict and the time that
// it took.
func (g *gate) connect(client string, w *wire) (*filters.Session, string, time.Duration) {
	s := filtertest.Session(client)
	s.Begin(g.Context())
	g.Cleanup(s.End)
	if w != nil {
		s.Wire = w
	}
	began := time.Now()
	v := g.Connect(g.Context(), s)
	s.Wire = nil
	return s, show(v), time.Since(began)
}

// waits checks how long a silent client has to wait.
func (g *gate) waits(client string, want time.Duration) *filters.Session {
	g.Helper()
	s, got, took := g.connect(client, &wire{})
	if got != "continue" || took != want {
		g.Errorf("%s has to wait %v, and then %s; want %v", client, took, got, want)
	}
	return s
}

// conduct shows the verdict on a breach.
func (g *gate) conduct(s *filters.Session, b filters.Breach, sample string) string {
	return show(g.Conduct(g.Context(), s, b, []byte(sample)))
}

// show spells a verdict, and whether it is only observed.
func show(v filters.Verdict) string {
	if v.Finding == nil {
		return filtertest.Show(v)
	}
	observed := ""
	if v.Finding.Observed {
		observed = " observed"
	}
	v.Finding.Err = nil
	return filtertest.Show(v) + observed
}

func (g *gate) message(s *filters.Session) {
	g.Helper()
	if got := filtertest.Show(g.Message(g.Context(), &filters.Transaction{Session: s})); got != "continue" {
		g.Errorf("at its end: %s", got)
	}
}

func (g *gate) want(what, got, want string) {
	g.Helper()
	if got != want {
		g.Errorf("%s: %s, want %s", what, got, want)
	}
}

// bubble runs a test in a world where waiting takes no time.
func bubble(t *testing.T, options string, test func(g *gate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newGate(t, options)) })
}

const (
	early   = "550 5.5.1 early_talk"
	pipe    = "550 5.5.1 pipelining"
	nonSMTP = "521 5.5.1 non_smtp"
	bareLF  = "550 5.5.1 bare_lf"
)

func TestWait(t *testing.T) {
	for name, c := range map[string]struct {
		options string
		wire    wire
		load    float64
		verdict string
		took    time.Duration
		result  string
	}{
		"silent":         {"", wire{}, 0, "continue", 6 * time.Second, "silent"},
		"talks":          {"", wire{says: "EHLO\r\n", after: time.Second}, 0, early, time.Second, "talked"},
		"leaves":         {"", wire{after: time.Second}, 0, "continue", time.Second, "gone"},
		"no wait":        {"wait: 0s", wire{says: "EHLO\r\n", after: 1}, 0, "continue", 0, ""},
		"not tested":     {"early_talk: false", wire{says: "EHLO\r\n", after: 1}, 0, "continue", 0, ""},
		"shorter":        {"wait: 3s", wire{}, 0, "continue", 3 * time.Second, "silent"},
		"busy":           {"", wire{}, 0.8, "continue", 2 * time.Second, "silent"},
		"nearly busy":    {"", wire{}, 0.79, "continue", 6 * time.Second, "silent"},
		"busy by option": {"{busy_share: 0.5, busy_wait: 1s}", wire{}, 0.5, "continue", time.Second, "silent"},
		"busy, no wait":  {"busy_wait: 0s", wire{says: "EHLO\r\n", after: 1}, 1, "continue", 0, ""},
		"never longer":   {"wait: 1s", wire{}, 1, "continue", time.Second, "silent"},
		"deaf":           {"teaser: wait", wire{deaf: true}, 0, "continue", 0, ""},
		"only observed":  {"early_talk: ignore", wire{says: "EHLO\r\n", after: time.Second}, 0, early + " observed", time.Second, "talked"},
		"exempt":         {"exempt: [198.51.100.0/24]", wire{}, 0, "continue", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.options, func(g *gate) {
				s := filtertest.Session(client4)
				s.Begin(g.Context())
				defer s.End()
				s.Wire, s.Load = &c.wire, c.load
				began := time.Now()
				got := show(g.Connect(g.Context(), s))
				if took := time.Since(began); got != c.verdict || took != c.took {
					t.Errorf("after %v: %s, want %s after %v", took, got, c.verdict, c.took)
				}
				want := metrics{}
				if c.result != "" {
					want["mailweir_pregreet_waits_total "+c.result] = 1
					want["mailweir_pregreet_wait_seconds"] = c.took.Seconds()
				}
				if !maps.Equal(g.metrics, want) {
					t.Errorf("counted: %v, want %v", g.metrics, want)
				}
			})
		})
	}
}

func TestTeaser(t *testing.T) {
	bubble(t, "{teaser: just a moment, early_talk_ttl: 1h}", func(g *gate) {
		w := &wire{}
		g.connect(client4, w)
		g.want("teaser", w.teased, "just a moment")
		again := &wire{}
		g.connect(client4, again)
		if again.teased != "" || again.waited {
			t.Errorf("a client that is known is teased with %q", again.teased)
		}
	})
}

// Who has been silent once does not wait, for as long as the memory lasts.
func TestKnownClient(t *testing.T) {
	bubble(t, "", func(g *gate) {
		g.waits(client4, 6*time.Second)
		g.waits(client4, 0)
		g.waits("::ffff:"+client4, 0)
		g.waits("198.51.100.8", 6*time.Second)
		g.waits(client6, 6*time.Second)
		g.waits("2001:db8:1:2:ffff::1", 0)
		g.waits("2001:db8:1:3::7", 6*time.Second)
		g.now = g.now.Add(24*time.Hour - time.Second)
		g.waits(client4, 0)
		g.now = g.now.Add(time.Second)
		g.waits(client4, 6*time.Second)
	})
}

func TestNotRemembered(t *testing.T) {
	for name, w := range map[string]*wire{
		"talks":  {says: "EHLO\r\n", after: time.Second},
		"leaves": {after: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, "", func(g *gate) {
				g.connect(client4, w)
				g.waits(client4, 6*time.Second)
			})
		})
	}
	bubble(t, "early_talk_ttl: 0s", func(g *gate) {
		g.waits(client4, 6*time.Second)
		g.waits(client4, 6*time.Second)
	})
}

func TestBreaches(t *testing.T) {
	bubble(t, "{pipelining: true, bare_lf: ignore}", func(g *gate) {
		s := g.waits(client4, 6*time.Second)
		g.want("pipelining", g.conduct(s, filters.Pipelined, "MAIL"), pipe)
		g.want("pipelining again", g.conduct(s, filters.Pipelined, "MAIL"), "continue")
		g.want("not SMTP", g.conduct(s, filters.NotSMTP, "GET / HTTP/1.1"), nonSMTP)
		g.want("bare LF", g.conduct(s, filters.BareLF, "NOOP\n"), bareLF+" observed")
	})
	bubble(t, "{wait: 0s, pipelining: false, non_smtp: ignore}", func(g *gate) {
		s := g.waits(client4, 0)
		g.want("pipelining", g.conduct(s, filters.Pipelined, "MAIL"), "continue")
		g.want("not SMTP", g.conduct(s, filters.NotSMTP, "GET / HTTP/1.1"), nonSMTP+" observed")
		g.want("bare LF", g.conduct(s, filters.BareLF, "NOOP\n"), bareLF)
	})
}

// What is said of a sample is for the log only, and safe there.
func TestSample(t *testing.T) {
	bubble(t, "wait: 0s", func(g *gate) {
		s := g.waits(client4, 0)
		v := g.Conduct(g.Context(), s, filters.NotSMTP, []byte("\x16\x03\x01\xff\x1b[2J\n"))
		if got, want := v.Finding.Err.Error(), `the client sent "\x16\x03\x01\xff\x1b[2J\n"`; got != want {
			t.Errorf("the log has %s, want %s", got, want)
		}
		if strings.Contains(v.Finding.Reply.Text, "2J") {
			t.Errorf("the reply is %q", v.Finding.Reply.Text)
		}
		if v := g.Conduct(g.Context(), s, filters.Pipelined, nil); v.Finding.Err != nil {
			t.Errorf("the log has %v of a sample that is secret", v.Finding.Err)
		}
	})
}

// Who sends a message without a breach has passed the tests, each for its time.
func TestPassed(t *testing.T) {
	bubble(t, "{wait: 0s, bare_lf_ttl: 1h}", func(g *gate) {
		s := g.waits(client4, 0)
		g.want("not SMTP", g.conduct(s, filters.NotSMTP, "GET"), nonSMTP)
		g.message(s)
		s = g.waits(client4, 0)
		g.want("pipelining passed", g.conduct(s, filters.Pipelined, ""), "continue")
		g.want("bare LF passed", g.conduct(s, filters.BareLF, ""), "continue")
		g.want("not SMTP not passed", g.conduct(s, filters.NotSMTP, ""), nonSMTP)
		g.now = g.now.Add(time.Hour)
		s = g.waits(client4, 0)
		g.want("bare LF expired", g.conduct(s, filters.BareLF, ""), bareLF)
		g.want("pipelining still passed", g.conduct(s, filters.Pipelined, ""), "continue")
		g.now = g.now.Add(30 * 24 * time.Hour)
		s = g.waits(client4, 0)
		g.want("pipelining expired", g.conduct(s, filters.Pipelined, ""), pipe)
	})
}

// Who sends no message has shown nothing.
func TestNotPassedWithoutMessage(t *testing.T) {
	bubble(t, "", func(g *gate) {
		g.waits(client4, 6*time.Second)
		s := g.waits(client4, 0)
		g.want("pipelining", g.conduct(s, filters.Pipelined, ""), pipe)
	})
}

// A breach behind a message takes back what was passed, and leaves the rest.
func TestBreachTakesBack(t *testing.T) {
	bubble(t, "", func(g *gate) {
		s := g.waits(client4, 6*time.Second)
		g.message(s)
		g.want("pipelining", g.conduct(s, filters.Pipelined, ""), pipe)
		g.message(s)
		s = g.waits(client4, 0)
		g.want("pipelining in the next session", g.conduct(s, filters.Pipelined, ""), pipe)
		g.want("bare LF in the next session", g.conduct(s, filters.BareLF, ""), "continue")
	})
	bubble(t, "{wait: 0s, bare_lf: false, non_smtp: false}", func(g *gate) {
		s := g.waits(client4, 0)
		g.message(s)
		g.want("pipelining", g.conduct(s, filters.Pipelined, ""), pipe)
		s = g.waits(client4, 0)
		g.want("pipelining in the next session", g.conduct(s, filters.Pipelined, ""), pipe)
	})
}

// A milter has no wire: nothing is waited for, tested or remembered.
func TestWithoutWire(t *testing.T) {
	bubble(t, "", func(g *gate) {
		s, got, took := g.connect(client4, nil)
		if got != "continue" || took != 0 {
			t.Errorf("%s after %v", got, took)
		}
		g.message(s)
		g.waits(client4, 6*time.Second)
	})
}

func TestWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, _ := filtertest.Env("")
		f := filtertest.New[filters.ConnectFilter](t, env, pregreet.Kind, "")
		for range 2 {
			s := filtertest.Session(client4)
			s.Begin(t.Context())
			s.Wire = &wire{}
			began := time.Now()
			if v := f.Connect(t.Context(), s); v != (filters.Verdict{}) || time.Since(began) != 6*time.Second {
				t.Errorf("%s after %v", filtertest.Show(v), time.Since(began))
			}
			f.(filters.MessageFilter).Message(t.Context(), &filters.Transaction{Session: s})
			s.End()
		}
	})
}

func TestTrust(t *testing.T) {
	score := filters.NewFact[int]("dnsbl.score", "")
	for name, c := range map[string]struct {
		options string
		set     func(s *filters.Session)
		took    time.Duration
		result  string
	}{
		"trusted": {"trust_score: -4", func(s *filters.Session) {
			score.Go(s, func(context.Context) (int, error) { time.Sleep(time.Second); return -4, nil })
		}, time.Second, "trusted"},
		"known at once": {"trust_score: -4", func(s *filters.Session) { score.Set(s, -5) }, 0, "trusted"},
		"too little":    {"trust_score: -4", func(s *filters.Session) { score.Set(s, -3) }, 6 * time.Second, "silent"},
		"no score":      {"trust_score: -4", func(*filters.Session) {}, 6 * time.Second, "silent"},
		"too late": {"trust_score: -4", func(s *filters.Session) {
			score.Go(s, func(ctx context.Context) (int, error) { <-ctx.Done(); return -9, nil })
		}, 6 * time.Second, "silent"},
		"failed": {"trust_score: -4", func(s *filters.Session) {
			score.Go(s, func(context.Context) (int, error) { return -9, errors.New("no answer") })
		}, 6 * time.Second, "silent"},
		"off": {"", func(s *filters.Session) { score.Set(s, -9) }, 6 * time.Second, "silent"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.options, func(g *gate) {
				s := filtertest.Session(client4)
				s.Begin(g.Context())
				defer s.End()
				c.set(s)
				s.Wire = &wire{}
				began := time.Now()
				v := g.Connect(g.Context(), s)
				if took := time.Since(began); v != (filters.Verdict{}) || took != c.took {
					t.Errorf("%s after %v, want %v", filtertest.Show(v), took, c.took)
				}
				if g.metrics["mailweir_pregreet_waits_total "+c.result] != 1 {
					t.Errorf("counted: %v", g.metrics)
				}
				if c.result == "trusted" { // it was not silent for long enough to be known
					g.waits(client4, 6*time.Second)
				}
			})
		})
	}
}

func TestStages(t *testing.T) {
	env, _ := filtertest.Env("")
	for options, want := range map[string]string{
		"":                    "connect eom conduct",
		"wait: 0s":            "connect eom conduct",
		"{pipelining: false}": "connect eom conduct",
		"{pipelining: false, non_smtp: false, bare_lf: false}":                   "connect",
		"{pipelining: false, non_smtp: false, bare_lf: false, wait: 0s}":         "",
		"{early_talk: false, pipelining: false, non_smtp: false, bare_lf: true}": "connect eom conduct",
	} {
		f := filtertest.New[filters.Filter](t, env, pregreet.Kind, options)
		if got := filters.StagesOf(f).String(); got != want {
			t.Errorf("{%s}: stages %q, want %q", options, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for options, want := range map[string]string{
		`teaser: "two\r\n220 lines"`:          "one line of ASCII text",
		"teaser: wörds":                       "one line of ASCII text",
		"teaser: " + strings.Repeat("x", 201): "not be longer than 200 octets",
		"early_talk: maybe":                   "want true, false or ignore",
		"exempt: [example.com]":               "neither an IP address nor a network",
	} {
		env, _ := filtertest.Env("")
		if _, err := filtertest.Build(env, pregreet.Kind, options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("{%.40s}: error %v, want %q", options, err, want)
		}
	}
}

// A timeout within the wait would make each silent client a failure.
func TestTimeout(t *testing.T) {
	env, _ := filtertest.Env("")
	env.Timeout = 6 * time.Second
	if _, err := filtertest.Build(env, pregreet.Kind, ""); err == nil || !strings.Contains(err.Error(), "make wait shorter") {
		t.Errorf("error %v", err)
	}
	if _, err := filtertest.Build(env, pregreet.Kind, "wait: 5s"); err != nil {
		t.Error(err)
	}
}
