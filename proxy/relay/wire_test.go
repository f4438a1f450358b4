package relay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/pregreet"
	"github.com/mailweir/mailweir/proxy/relay"
)

// greeter is a filter of one function that is asked at Connect.
type greeter func(context.Context, *filters.Session) filters.Verdict

func (g greeter) Connect(ctx context.Context, s *filters.Session) filters.Verdict { return g(ctx, s) }

// hearing gives a relay's chain a filter that may listen before the greeting.
func hearing(t testing.TB, o *relay.Options, g greeter) {
	o.Chain = newNeedyChain(t, o.Log, filters.HearClient, g)
}

// rather long for a test, if something that should end a wait does not.
const forever = 30 * time.Second

// What is said before the greeting is heard, and not lost.
func TestListen(t *testing.T) {
	heard := make(chan string, 1)
	r := newRig(t, func(o *relay.Options) {
		hearing(t, o, func(ctx context.Context, s *filters.Session) filters.Verdict {
			heard <- string(s.Wire.Listen(ctx, forever))
			return filters.Verdict{}
		})
	})
	for said, want := range map[string]string{
		"EHL":                                  "EHL",
		"AUTH PLAIN c2VjcmV0":                  "AUTH",
		"EHLO c\r\nauth login c2VjcmV0":        "EHLO c\r\nauth",
		"\x16\x03\x01":                         "\x16\x03\x01",
		"NOOP " + strings.Repeat("x", 100):     "NOOP " + strings.Repeat("x", 59),
		strings.Repeat("NOOP x\r\nEHLO y ", 5): strings.Repeat("NOOP x\r\nEHLO y ", 5)[:64],
	} {
		c := r.dial()
		c.say(said)
		if got := <-heard; got != want {
			t.Errorf("%q is heard as %q, want %q", said, got, want)
		}
		c.say("", "220")
		c.Close()
	}
	c := r.dial()
	c.say("EHL")
	<-heard
	c.say("O client.example\r\n"+envelope+"DATA\r\n", "220", "250", "250", "250", "354")
	c.say(letter+".\r\nQUIT\r\n", "250", "221")
	if len(r.up.messages) != 1 {
		t.Errorf("%d messages have arrived", len(r.up.messages))
	}
}

// A silent client is greeted when the wait is over, or its context ends.
func TestListenInVain(t *testing.T) {
	for name, listen := range map[string]func(context.Context, filters.Wire) []byte{
		"wait": func(ctx context.Context, w filters.Wire) []byte { return w.Listen(ctx, 10*time.Millisecond) },
		"none": func(ctx context.Context, w filters.Wire) []byte { return w.Listen(ctx, 0) },
		"twice": func(ctx context.Context, w filters.Wire) []byte {
			w.Listen(ctx, 0)
			return w.Listen(ctx, time.Millisecond)
		},
		"cancelled before": func(ctx context.Context, w filters.Wire) (said []byte) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			for range 1000 { // who is first, the read or the end of it, is a matter of luck
				said = append(said, w.Listen(ctx, forever)...)
			}
			return said
		},
		"cancelled meanwhile": func(ctx context.Context, w filters.Wire) (said []byte) {
			for range 1000 {
				ctx, cancel := context.WithCancel(ctx)
				go cancel()
				said = append(said, w.Listen(ctx, forever)...)
			}
			return said
		},
		"cancelled": func(ctx context.Context, w filters.Wire) []byte {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			return w.Listen(ctx, forever)
		},
		"cancelled afterwards": func(ctx context.Context, w filters.Wire) []byte {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return w.Listen(ctx, 10*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *relay.Options) {
				hearing(t, o, func(ctx context.Context, s *filters.Session) filters.Verdict {
					began := time.Now()
					if said := listen(ctx, s.Wire); len(said) > 0 {
						t.Errorf("heard %q", said)
					}
					if time.Since(began) >= forever {
						t.Error("the wait does not end")
					}
					return filters.Verdict{}
				})
			})
			c := r.dial()
			c.say("", "220")
			c.say(hello, "250")
			c.say("QUIT\r\n", "221")
		})
	}
}

// The end of the service, and of the client, end the wait.
func TestWaitEnds(t *testing.T) {
	listening := make(chan struct{})
	start := func(t *testing.T) *rig {
		return newRig(t, func(o *relay.Options) {
			hearing(t, o, func(ctx context.Context, s *filters.Session) filters.Verdict {
				listening <- struct{}{}
				if said := s.Wire.Listen(ctx, forever); len(said) > 0 {
					t.Errorf("heard %q", said)
				}
				return filters.Verdict{}
			})
		})
	}
	t.Run("drain", func(t *testing.T) {
		r := start(t)
		c := r.dial()
		<-listening
		ended := r.shutdown(forever)
		c.say("", "220", "421")
		c.wantEnd()
		c.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("cut", func(t *testing.T) {
		r := start(t)
		c := r.dial()
		<-listening
		ended := r.shutdown(0)
		c.say("", "220", "421")
		c.wantEnd()
		<-ended
	})
	t.Run("client gone", func(t *testing.T) {
		r := start(t)
		c := r.dial()
		<-listening
		c.Close()
		r.ended(0)
	})
	t.Run("client reset", func(t *testing.T) {
		r := start(t)
		c := r.dial()
		<-listening
		c.Conn.(*net.TCPConn).SetLinger(0)
		c.Close()
		r.ended(0)
	})
}

// The teaser is the first line of the greeting.
func TestTease(t *testing.T) {
	r := newRig(t, func(o *relay.Options) {
		hearing(t, o, func(ctx context.Context, s *filters.Session) filters.Verdict {
			if err := s.Wire.Tease("just a moment"); err != nil {
				t.Error(err)
			}
			if said := s.Wire.Listen(ctx, forever); string(said) != "HELO" {
				t.Errorf("heard %q", said)
			}
			return filters.Verdict{}
		})
	})
	c := r.dial()
	for _, want := range []string{"220-weir.example just a moment\r\n", "220 weir.example ESMTP\r\n"} {
		if got, err := c.in.ReadString('\n'); got != want || err != nil {
			t.Errorf("the greeting has %q, %v; want %q", got, err, want)
		}
		c.say("HELO") // for the second line
	}
}

// There is a wire at Connect only, and for those who need it.
func TestWireIsForConnect(t *testing.T) {
	for _, needs := range []filters.Needs{0, filters.HearClient} {
		p := newPlay(t, hello+"QUIT\r\n")
		asked := &wireless{}
		p.options.Chain = newNeedyChain(t, p.options.Log, needs, asked)
		p.run(t)
		if got, want := asked.String(), fmt.Sprintf("connect %v helo false", needs != 0); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// wireless notes when there is a wire.
type wireless struct{ strings.Builder }

func (w *wireless) Connect(_ context.Context, s *filters.Session) filters.Verdict {
	fmt.Fprintf(w, "connect %v ", s.Wire != nil)
	return filters.Verdict{}
}

func (w *wireless) Helo(_ context.Context, s *filters.Session) filters.Verdict {
	fmt.Fprintf(w, "helo %v", s.Wire != nil)
	return filters.Verdict{}
}

func TestLoad(t *testing.T) {
	for limit, want := range map[int][]float64{4: {0.25, 0.5, 0.75}, 0: {0, 0, 0}} {
		loads := make(chan float64, 1)
		r := newRig(t, func(o *relay.Options) {
			o.Limiter = relay.NewLimiter(limit, 0)
			o.Chain = newChain(t, o.Log, greeter(func(_ context.Context, s *filters.Session) filters.Verdict {
				loads <- s.Load
				return filters.Verdict{}
			}))
		})
		for i, load := range want {
			r.dial().say("", "220")
			if got := <-loads; got != load {
				t.Errorf("of %d sessions, number %d sees a load of %v, want %v", limit, i+1, got, load)
			}
		}
	}
}

// A session that waits for its greeting is as cheap as an idle one.
func TestWaitingSessions(t *testing.T) {
	const n = 500
	var waiting sync.WaitGroup
	waiting.Add(n)
	r := newRig(t, func(o *relay.Options) {
		hearing(t, o, func(ctx context.Context, s *filters.Session) filters.Verdict {
			waiting.Done()
			s.Wire.Listen(ctx, forever)
			return filters.Verdict{}
		})
	})
	before := takeFootprint().live()
	for range n {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	waiting.Wait()
	const most = 10<<10 + raceShare
	if each := (takeFootprint().live() - before) / n; each > most {
		t.Errorf("a session that waits takes %d octets", each)
	}
}

// recollection is a store that forgets nothing.
type recollection struct{ sync.Map }

func (r *recollection) Get(key string) ([]byte, bool) {
	v, ok := r.Load(key)
	if !ok {
		return nil, false
	}
	return v.([]byte), true
}

func (r *recollection) Put(key string, value []byte, _ time.Duration) { r.Store(key, value) }

// pregreeting is a chain with pregreet in force, and others behind it.
func pregreeting(t testing.TB, o *relay.Options, store filters.Store, options string, others ...filters.Filter) {
	t.Helper()
	specs := []chain.Spec{{Kind: pregreet.Kind, Conf: filtertest.Conf(t, pregreet.Kind, options)}}
	for _, f := range others {
		specs = append(specs, chain.Spec{Kind: filters.Kind{Name: "stub", New: func(filters.Env, any) (filters.Filter, error) { return f, nil }}})
	}
	env := filters.Env{Log: o.Log, Now: time.Now, Store: store}
	c, err := chain.Build(env, specs, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	o.Chain = c
}

// A clean client waits once, its mail is delivered in that session, and it is
// known from then on.
func TestPregreetOfCleanClients(t *testing.T) {
	const wait = 50 * time.Millisecond
	var store recollection
	r := newRig(t, func(o *relay.Options) { pregreeting(t, o, &store, "{wait: 50ms, exempt: []}") })
	began := time.Now()
	c := r.dial()
	c.say("", "220")
	if took := time.Since(began); took < wait {
		t.Errorf("greeted after %v", took)
	}
	c.say(hello, "250")
	c.say(envelope+"DATA\r\n", "250", "250", "354")
	c.say(letter+".\r\n", "250")
	c.say("QUIT\r\n", "221")
	c.Close()
	if len(r.up.messages) != 1 {
		t.Errorf("%d messages have arrived", len(r.up.messages))
	}

	// Were it not known now, it would wait for longer than the test does.
	r = newRig(t, func(o *relay.Options) { pregreeting(t, o, &store, "{wait: 1h, exempt: []}") })
	c = r.dial()
	c.say("", "220")
	c.say(hello+"NOOP\r\n", "250", "250") // it has shown that it knows better
	c.say("QUIT\r\n", "221")
}

// Others look up while the client waits, wherever they stand in the chain.
func TestPregreetUsesTheTime(t *testing.T) {
	fact := filters.NewFact[bool]("stub.fact", "")
	begun := make(chan struct{})
	learner := greeter(func(_ context.Context, s *filters.Session) filters.Verdict {
		fact.Go(s, func(context.Context) (bool, error) { close(begun); return true, nil })
		return filters.Verdict{}
	})
	r := newRig(t, func(o *relay.Options) {
		pregreeting(t, o, nil, "{wait: 1h, exempt: [], bare_lf: false}", learner)
	})
	c := r.dial()
	<-begun
	c.say(hello) // ends the wait
	c.say("", "220", "250")
	c.say(envelope, "250", "550")
	if record := r.journal.with("refused"); !strings.Contains(record, "reason=early_talk") {
		t.Errorf("the log has %q", record)
	}
}

// A client that talks HTTP or TLS before it is greeted needs no second look.
func TestPregreetOfForeignClients(t *testing.T) {
	for _, said := range []string{"\x16\x03\x01\x00\x05", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\x00", 1<<20)} {
		r := newRig(t, func(o *relay.Options) {
			pregreeting(t, o, nil, "{wait: 1h, exempt: [], early_talk: ignore}")
		})
		c := r.dial()
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c.Conn, said)
			sent <- err
		}()
		c.say("", "220", "521")
		c.wantEnd()
		if err := <-sent; err != nil {
			t.Error(err)
		}
		c.Close()
		r.ended(0)
		if record := r.journal.with("would have refused"); !strings.Contains(record, "reason=early_talk") {
			t.Errorf("the log has %q", record)
		}
		if record := r.journal.with("refused"); !strings.Contains(record, "reason=non_smtp") {
			t.Errorf("the log has %q", record)
		}
	}
}
