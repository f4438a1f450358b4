package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/mailweir/mailweir/rules"
)

// testPlayer plays the session of a test.
type testPlayer interface {
	// play returns what came of it. What the trace of rules in ctx does not
	// hear, asked is told. Its error is about the test.
	play(ctx context.Context, s *ruleSuite, t *ruleTest, z *testDNS, asked func(asking)) (*rules.Outcome, error)

	// skips tells why a test cannot be played, "" if it can.
	skips(t *ruleTest) string
}

// asking is what a rule, or another filter, was asked and found.
type asking struct {
	rules.Step
	filter string // not a rule, but this entry of the chain: Why is what it found
}

// alone asks the rules, and no other filters.
type alone struct{}

func (alone) play(ctx context.Context, s *ruleSuite, t *ruleTest, _ *testDNS, _ func(asking)) (*rules.Outcome, error) {
	return s.policy.Play(ctx, t.Test, t.dir)
}

func (alone) skips(t *ruleTest) string {
	if t.DNS == "" && len(t.Store) == 0 {
		return ""
	}
	return "it tells of the DNS or the store, which other filters ask: name their configuration with --config"
}

// play runs one test. It returns at its limit even if the test does not, which
// then is left to itself.
func (s *ruleSuite) play(t *ruleTest) *testResult {
	began := time.Now()
	z, err := parseZone(t.DNS)
	if err != nil {
		return &testResult{differences: []string{err.Error()}}
	}
	if why := s.player.skips(t); why != "" {
		return &testResult{skipped: why}
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	w := &witness{}
	ended := make(chan []string, 1)
	go func() { ended <- s.judge(ctx, t, z, w) }()
	var differences []string
	grace, stop := context.WithTimeout(context.Background(), s.limit+testGrace)
	defer stop()
	select {
	case differences = <-ended:
	case <-grace.Done():
	}
	if ctx.Err() != nil {
		differences = []string{fmt.Sprintf("it has not ended within %v", s.limit)}
	}
	return &testResult{differences: differences, asked: w.close(), took: time.Since(began)}
}

// testGrace is what a test has to end in after its limit.
const testGrace = time.Second

// judge plays a test and returns what is not as it wants it. A panic is, too.
func (s *ruleSuite) judge(ctx context.Context, t *ruleTest, z *testDNS, w *witness) (differences []string) {
	defer func() {
		if p := recover(); p != nil {
			differences = []string{fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	ctx = rules.WithTrace(ctx, func(step rules.Step) { w.note(asking{Step: step}) })
	o, err := s.player.play(ctx, s, t, z, w.note)
	if err != nil {
		return []string{err.Error()}
	}
	differences = t.Want.Compare(o)
	for _, a := range w.list() {
		if a.Result == rules.Broken && !strings.Contains(strings.Join(differences, "\n"), a.Why) {
			differences = append(differences, fmt.Sprintf("%v: the rule %s could not be decided: %s", a.Stage, a.Rule, a.Why))
		}
	}
	return differences
}

// witness notes what is asked, until it is closed.
type witness struct {
	mu     sync.Mutex
	asked  []asking
	closed bool
}

func (w *witness) note(a asking) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.asked = append(w.asked, a)
	}
}

func (w *witness) list() []asking {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

func (w *witness) close() []asking {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.asked
}
