package rules_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/rules"
)

// begin returns a transaction of a session under way.
func begin(t testing.TB, from string) *filters.Transaction {
	t.Helper()
	s := filtertest.Session("192.0.2.1")
	s.Begin(context.Background())
	tx := &filters.Transaction{Session: s, Number: 1, From: filtertest.Path(from)}
	tx.Begin(context.Background())
	t.Cleanup(func() { tx.End(); s.End() })
	return tx
}

func show(v filters.Verdict) string { return filtertest.Show(v) }

// TestFailures holds a rule that cannot be decided to say which it is, and to
// keep later rules from deciding.
func TestFailures(t *testing.T) {
	counted := &counters{}
	p, err := rules.Parse(rules.Options{Env: filters.Env{Metrics: counted}}, "f.yaml", ".", []byte(`
rules:
  - name: odd
    when: 'facts["a.fact"] > 2'
    then: reject
  - name: late
    match: { a.fact: { above: 2 }, to: late@example.com }
    at: data
    then: reject
  - name: later
    then: { reject: "Score {a.fact}" }
    at: eoh
`))
	if err != nil {
		t.Fatal(err)
	}
	tx := begin(t, "a@example.net")
	filters.NewFact[any]("a.fact", "").Set(tx, "text")
	to := filtertest.Path("late@example.com")
	if got := show(p.Rcpt(t.Context(), tx, to)); !strings.HasPrefix(got, "error rule odd (f.yaml:3:11): invalid operation") {
		t.Errorf("a text that is greater than 2: %s", got)
	}
	tx.Rcpts = append(tx.Rcpts, to)
	if got := show(p.Data(t.Context(), tx)); got != "continue" {
		t.Errorf("a text is no number: %s", got)
	}
	filters.NewFact[int]("a.fact", "").Go(tx, func(context.Context) (int, error) { return 3, errors.New("not learnt") })
	if got := show(p.Data(t.Context(), tx)); got != "error rule late (f.yaml:6:11): not learnt" {
		t.Errorf("a matcher of a fact that failed: %s", got)
	}
	if got := show(p.Header(t.Context(), tx)); got != "error rule later (f.yaml:10:11): not learnt" {
		t.Errorf("a text with a fact that failed: %s", got)
	}
	for name, want := range map[string]float64{"odd": 1, "late": 1, "later": 1} {
		if got := counted.of("mailweir_rules_failed_total", name); got != want {
			t.Errorf("%v failures of %s are counted", got, name)
		}
	}
	if got := counted.of("mailweir_rules_matched_total", "later"); got != 1 {
		t.Errorf("%v matches are counted", got)
	}
}

// TestFactThatNeverComes bounds the wait.
func TestFactThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, []byte("rules:\n  - { name: r, match: { a.fact: x }, then: reject }\n"))
		s := filtertest.Session("192.0.2.1")
		s.Begin(t.Context())
		tx := &filters.Transaction{Session: s, Number: 1, From: filtertest.Path("a@example.net")}
		tx.Begin(t.Context())
		filters.NewFact[string]("a.fact", "").Go(s, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		began := time.Now()
		got := show(p.Rcpt(t.Context(), tx, filtertest.Path("b@example.com")))
		if !strings.Contains(got, "deadline exceeded") || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %s", time.Since(began), got)
		}
		tx.End()
		s.End()
	})
}

// TestDelay holds the wait to the longest, and to once for a stage.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, []byte(`
rules:
  - { name: short, match: { to.domain: example.com }, then: { delay: 2s } }
  - { name: long, match: { to.local: slow }, then: { delay: 7s, reject: Slow } }
  - { name: seen, match: { to.local: other }, action: ignore, then: { delay: 20s } }
  - { name: content, at: data, then: { delay: 3s } }
`))
		s := filtertest.Session("192.0.2.1")
		s.Begin(t.Context())
		tx := &filters.Transaction{Session: s, Number: 1, From: filtertest.Path("a@example.net")}
		tx.Begin(t.Context())
		takes := func(what string, want time.Duration, verdict string, ask func() filters.Verdict) {
			t.Helper()
			began := time.Now()
			if got := show(ask()); got != verdict || time.Since(began) != want {
				t.Errorf("%s: %s after %v, want %s after %v", what, got, time.Since(began), verdict, want)
			}
		}
		rcpt := func(to string) func() filters.Verdict {
			return func() filters.Verdict { return p.Rcpt(t.Context(), tx, filtertest.Path(to)) }
		}
		takes("nobody", 0, "continue", rcpt("other@example.net"))
		takes("the longest", 7*time.Second, "550 5.7.1 long", rcpt("slow@example.com"))
		takes("the second", 0, "continue", rcpt("a@example.com"))
		takes("another stage", 3*time.Second, "continue", func() filters.Verdict { return p.Data(t.Context(), tx) })
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		tx.End()
		tx.Begin(t.Context())
		takes("a session that ends", 0, "continue", func() filters.Verdict { return p.Data(gone, tx) })
		tx.End()
		s.End()
	})
}

// TestHeloAgain holds what HELO has left to the HELO in force.
func TestHeloAgain(t *testing.T) {
	p := parse(t, []byte(`
rules:
  - { name: client, match: { client: 192.0.2.1 }, then: { score: 1 } }
  - { name: first, match: { helo: first.example }, then: { score: 10, tag: first } }
  - { name: second, match: { helo: second.example }, then: { score: 100 } }
  - { name: trusted, match: { helo: trusted.example }, then: ignore }
  - { name: sum, match: { score: 101 }, at: mail, then: { reject: "{score} {tags}" } }
  - { name: any, match: { score: { above: 0 } }, at: mail, then: { tempfail: "{score} {tags}" } }
`))
	s := filtertest.Session("192.0.2.1")
	s.Begin(t.Context())
	defer s.End()
	p.Connect(t.Context(), s)
	for _, step := range []struct{ helo, want string }{
		{"first.example", "11 first"}, {"second.example", "101 "}, {"trusted.example", ""}, {"none.example", "1 "},
	} {
		s.Helo = step.helo
		p.Helo(t.Context(), s)
		tx := &filters.Transaction{Session: s, Number: 1, From: filtertest.Path("a@example.net")}
		tx.Begin(t.Context())
		v := p.Mail(t.Context(), tx)
		got := ""
		if v.Finding != nil {
			got = v.Finding.Reply.Text
		}
		if got != step.want {
			t.Errorf("after HELO %s: %q, want %q", step.helo, got, step.want)
		}
		tx.End()
	}
}

// TestObservedIsLogged holds each observed rule to be told once: by the chain
// as the verdict, or in a record of its own.
func TestObservedIsLogged(t *testing.T) {
	var log bytes.Buffer
	p, err := rules.Parse(rules.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, "f.yaml", ".", []byte(`
rules:
  - { name: one, action: ignore, match: { from.local: [a, b] }, then: reject }
  - { name: two, action: ignore, match: { from.local: [a, b] }, then: { hangup: x } }
  - { name: three, match: { from.local: b }, then: tempfail }
`))
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Mail(t.Context(), begin(t, "a@example.net")); show(v) != "reject one" || !v.Finding.Observed {
		t.Errorf("verdict %s", show(v))
	}
	if got := log.String(); strings.Count(got, "rule observed") != 1 || !strings.Contains(got, "rule=two") {
		t.Errorf("log:\n%s", got)
	}
	log.Reset()
	if v := p.Mail(t.Context(), begin(t, "b@example.net")); show(v) != "tempfail three" || v.Finding.Observed {
		t.Errorf("verdict %s", show(v))
	}
	if got := log.String(); !strings.Contains(got, "rule=one") || !strings.Contains(got, "rule=two") {
		t.Errorf("log:\n%s", got)
	}
}

// TestHarmless holds what a client says to leave replies and fields whole.
func TestHarmless(t *testing.T) {
	p := parse(t, []byte(`
rules:
  - { name: r, match: { helo: { contains: x } }, then: { reject: "No {helo}" } }
  - { name: h, at: eoh, then: { add_header: { name: X-Helo, value: "{header.Subject}" } } }
`))
	tx := begin(t, "a@example.net")
	tx.Session.Helo = "x\r\n250 ok\x1b[1mÄ" + strings.Repeat("y", 500)
	v := p.Helo(t.Context(), tx.Session)
	if got := v.Finding.Reply.Text; len(got) > 210 || !strings.HasPrefix(got, "No x??250 ok?[1m?yy") {
		t.Errorf("reply %q", got)
	}
	tx.Header = filters.ParseHeader("Subject: =?utf-8?q?a=0D=0AX-Evil:_b?=\r\n")
	tx.Allow(filters.Edits)
	if v := p.Header(t.Context(), tx); show(v) != "continue" {
		t.Fatal(show(v))
	}
	if got := tx.Edits()[0].(filters.AddField).Value; got != "a??X-Evil: b" {
		t.Errorf("value %q", got)
	}
}

// TestManySessions asks one policy from many sides.
func TestManySessions(t *testing.T) {
	p := parse(t, mixed(100))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s := filtertest.Session("192.0.2.1")
			s.Begin(context.Background())
			defer s.End()
			for range 50 {
				tx := &filters.Transaction{Session: s, Number: 1, From: filtertest.Path("x@a90.example")}
				tx.Begin(context.Background())
				want, to := "550 5.7.1 rule_90", "y@example.com"
				if i%2 == 1 {
					want, to = "continue", "y@example.net"
				}
				if got := show(p.Rcpt(context.Background(), tx, filtertest.Path(to))); got != want {
					t.Errorf("%s: %s, want %s", to, got, want)
				}
				tx.End()
			}
		})
	}
	all.Wait()
}

// TestWants holds a policy to ask for what its rules take, and no more.
func TestWants(t *testing.T) {
	for _, c := range []struct{ rule, stages, needs string }{
		{"match: { client: 192.0.2.1 }, then: reject", "connect", ""},
		{"match: { from.domain: a.example }, then: reject", "mail", ""},
		{"match: { header.Subject: x }, then: reject", "eoh", ""},
		{"match: { body: { contains: x } }, then: reject", "eoh body eom", ""},
		{"match: { attachment.name: x }, then: { add_header: { name: X, value: y } }", "eoh body eom", "edit header fields"},
		{"match: { attachment.name: x }, action: ignore, then: { redirect: a@example.com }", "eoh body eom", ""},
		{"match: { client: 192.0.2.1 }, then: { add_recipient: a@example.com }", "data", "change recipients"},
		{"match: { client: 192.0.2.1 }, then: quarantine", "connect", "quarantine"},
	} {
		p := parse(t, []byte("rules:\n  - { name: r, "+c.rule+" }\n"))
		if got := p.Stages().String(); got != c.stages {
			t.Errorf("%s: stages %s, want %s", c.rule, got, c.stages)
		}
		if got := p.Needs().String(); got != c.needs {
			t.Errorf("%s: needs %q, want %q", c.rule, got, c.needs)
		}
	}
}

func TestWarnings(t *testing.T) {
	p := parse(t, []byte("lists:\n  idle: { words: [x] }\nrules: []\n"))
	want := "speed.yaml:2:3: no rule uses the list idle\n      idle: { words: [x] }\n      ^"
	if got := p.Warnings().Error(); got != want {
		t.Errorf("got\n%s", got)
	}
}

// counters is filters.Metrics that remembers.
type counters struct {
	mu sync.Mutex
	n  map[string]float64
}

func (c *counters) of(name, value string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[name+" "+value]
}

func (c *counters) Counter(name, _ string, _ ...string) filters.Counter { return counter{c, name} }
func (c *counters) Gauge(string, string, ...string) filters.Gauge       { panic("none") }
func (c *counters) Histogram(string, string, []float64, ...string) filters.Histogram {
	panic("none")
}

type counter struct {
	*counters
	name string
}

func (c counter) Add(n float64, values ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]float64{}
	}
	c.n[c.name+" "+strings.Join(values, " ")] += n
}

// TestReachable holds rules to be taken that look as if none would come to them,
// and yet are asked.
func TestReachable(t *testing.T) {
	for name, text := range map[string]string{
		"declared and real size": "- { name: a, match: { size: { above: 10MiB } }, then: reject }\n- { name: b, match: { size: { above: 10MiB } }, at: eom, then: reject }",
		"a score that grows":     "- { name: s, match: { helo: a.example }, at: mail, then: { score: 3 } }\n- { name: a, match: { score: { above: 5 } }, then: reject }\n- { name: t, match: { from: a@example.com }, then: { score: 3 } }\n- { name: b, match: { score: { above: 5 } }, then: reject }",
		"another recipient":      "- { name: a, match: { to: a@example.com }, then: accept }\n- { name: b, match: { to: a@example.com, header.Subject: x }, then: reject }",
		"observed":               "- { name: a, action: ignore, then: reject }\n- { name: b, match: { from: a@example.com }, then: reject }",
		"it goes on":             "- { name: a, continue: true, then: tempfail }\n- { name: b, match: { client: 192.0.2.1 }, then: reject }",
		"no verdict":             "- { name: a, then: { tag: x } }\n- { name: b, match: { client: 192.0.2.1 }, then: reject }",
		"quarantine":             "- { name: a, match: { client: 192.0.2.1 }, then: quarantine }\n- { name: b, match: { client: 192.0.2.1, from.domain: a.example }, then: reject }",
		"another list of values": "- { name: a, match: { client: [192.0.2.1, 192.0.2.2] }, then: accept }\n- { name: b, match: { client: [192.0.2.1, 192.0.2.3] }, then: reject }",
	} {
		if _, err := rules.Parse(rules.Options{}, "f.yaml", ".", []byte("rules:\n"+text+"\n")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFactsUnknown holds a misspelt field not to pass for a fact where the host
// does not tell which there are, and facts to pass.
func TestFactsUnknown(t *testing.T) {
	for field, ok := range map[string]bool{"form.domain": false, "tls.versoin": false, "from.x": false, "nodot": false, "dnsbl.score": true, "my.own.fact": true, "fact.form.domain": true} {
		_, err := rules.Parse(rules.Options{}, "f.yaml", ".", []byte("rules:\n  - { name: r, match: { "+field+": x }, then: reject }\n"))
		if ok != (err == nil) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestPatience holds the dearest pattern and the dearest expression to a limit
// that a session can wait for.
func TestPatience(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector slows it down")
	}
	for name, text := range map[string]string{
		"pattern":    `match: { body: { matches: "(.*x){1,60}(.*y){1,60}(.*z){1,60}!" } }`,
		"expression": `when: 'any(header.A, # contains "` + strings.Repeat("ab", 50) + `") or any(header.A, # matches "(.*b){50}c")'`,
	} {
		p := parse(t, []byte("rules:\n  - { name: r, then: reject, at: eom, "+text+" }\n"))
		message := strings.Repeat("A: "+strings.Repeat("xyzab", 12)+"\r\n", 1000) + "\r\n" + strings.Repeat(strings.Repeat("xyzab", 15)+"\r\n", 2000)
		tx := begin(t, "a@example.net")
		head, _, _ := strings.Cut(message, "\r\n\r\n")
		tx.Header = filters.ParseHeader(head + "\r\n")
		began := time.Now()
		if sink := p.Body(t.Context(), tx); sink != nil {
			_, _ = sink.Write([]byte(message))
		}
		p.Message(t.Context(), tx)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: it took %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
}

// Who traces a policy to learn what it would do is not kept waiting.
func TestTracedDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, []byte("rules: [{name: slow, match: {client: 0.0.0.0/0}, then: {delay: 20s}}]"))
		var steps []rules.Step
		ctx := rules.WithTrace(t.Context(), func(s rules.Step) { steps = append(steps, s) })
		began := time.Now()
		p.Connect(ctx, filtertest.Session("192.0.2.1"))
		if took := time.Since(began); took != 0 || len(steps) != 1 || !strings.Contains(steps[0].Then, "delay 20s") {
			t.Errorf("took %v, steps %+v", took, steps)
		}
	})
}
