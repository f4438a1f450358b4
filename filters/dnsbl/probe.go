package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// nibbles6 stands before the last nibble's label of ::FFFF:7F00:x (RFC 5782
// section 5), under which a list of IPv6 addresses has its test entries.
var nibbles6 = ".0.0.0.0.0.f.7.f.f.f.f" + strings.Repeat(".0", 20)

// probe is one question of a self-test.
type probe struct {
	labels  string // before the zone's name
	subject string // what it asks about, for people
	listed  bool   // what a list in order has
	alive   bool   // any answer will do
}

// canaryProbe asks for what no list has.
func (l *list) canaryProbe() probe {
	switch l.family {
	case ipv4:
		return probe{labels: "1.0.0.127", subject: "127.0.0.1"}
	case ipv6:
		return probe{labels: "1" + nibbles6, subject: "::FFFF:7F00:1"}
	}
	return probe{labels: "invalid", subject: "INVALID"}
}

// testProbe asks for what each list has.
func (l *list) testProbe() probe {
	switch l.family {
	case ipv4:
		return probe{labels: "2.0.0.127", subject: "127.0.0.2", listed: true}
	case ipv6:
		return probe{labels: "2" + nibbles6, subject: "::FFFF:7F00:2", listed: true, alive: l.untried}
	}
	return probe{labels: l.test, subject: strings.ToUpper(l.test), listed: true}
}

// strangerProbe asks for what no list has either, and nobody has asked before:
// of 127.0.0.1 a resolver on the way may remember that it is not listed, long
// after the list has begun to list the world; of INVALID, that nothing is below
// it either (RFC 8020).
func (l *list) strangerProbe() probe {
	n := rand.Uint32()
	switch l.family {
	case ipv4:
		return probe{labels: fmt.Sprintf("%d.%d.%d.127", n&255, n>>8&255, n>>16&127|128), subject: "an address in 127.128.0.0/9"}
	case ipv6:
		h := fmt.Sprintf("%06x", n&0x7fffff|0x800000)
		labels := ""
		for i := len(h) - 1; i >= 0; i-- {
			labels += h[i:i+1] + "."
		}
		return probe{labels: labels + nibbles6[len(".0.0.0.0.0."):], subject: "an address in ::FFFF:7F80:0/105"}
	}
	return probe{labels: fmt.Sprintf("m%08x.example", n), subject: "a name in EXAMPLE"}
}

// probes returns the questions of a self-test. Without one, that is whether
// the list answers at all.
func (l *list) probes() []probe {
	test := l.testProbe()
	if !l.selfTest {
		test.alive = true
		return []probe{test}
	}
	return []probe{test, l.canaryProbe(), l.strangerProbe()}
}

// probed is what came of a probe.
type probed struct {
	probe
	answer filters.Answer
	err    error
	wrong  *fault
	took   time.Duration
}

// probe puts the question to the servers, whatever is known already.
func (l *list) probe(ctx context.Context, p probe) probed {
	begin := time.Now()
	a, err := l.fresh.Lookup(ctx, filters.Question{Name: p.labels + "." + l.name, Type: filters.TypeA})
	out := probed{probe: p, answer: a, err: err, took: time.Since(begin)}
	if err == nil {
		_, out.wrong = l.judge(a)
	}
	return out
}

// silent reports whether there was no answer, which may be nobody's fault.
func (p probed) silent() bool { return p.err != nil && !filters.NotFound(p.err) }

// cause returns why the probe shows a list that is not in order, "" if it does
// not.
func (p probed) cause() string {
	switch {
	case p.silent():
		return "no answer about " + p.subject + ": " + failureText(p.err)
	case p.wrong != nil:
		return "an error in place of an answer about " + p.subject + ": " + p.wrong.text
	case p.alive:
		return ""
	case p.listed && p.err != nil:
		return "it does not list " + p.subject + ", as a live list does"
	case !p.listed && p.err == nil:
		return "it lists " + p.subject + ", which no list should: it may list the world"
	}
	return ""
}

// run asks all questions at once.
func (l *list) run(ctx context.Context, probes []probe) []probed {
	out := make([]probed, len(probes))
	var wg sync.WaitGroup
	for i, p := range probes {
		wg.Go(func() { out[i] = l.probe(ctx, p) })
	}
	wg.Wait()
	return out
}

// verdict returns why a self-test failed, "" if it passed, and whether that is
// for want of answers.
func verdict(results []probed) (cause string, silent bool) {
	for _, r := range results {
		if c := r.cause(); c != "" && (cause == "" || silent && !r.silent()) {
			cause, silent = c, r.silent()
		}
	}
	return cause, silent
}

// failureText says why there is no answer. It never has the question's name in
// it, which may hold a key.
func failureText(err error) string {
	switch {
	case errors.Is(err, filters.ErrDNSTimeout), errors.Is(err, context.DeadlineExceeded):
		return "the name servers are silent"
	case errors.Is(err, context.Canceled):
		return "the session has ended"
	case errors.Is(err, filters.ErrDNSBusy):
		return "not asked: too many questions are under way"
	case errors.Is(err, filters.ErrServFail):
		return "the name servers failed"
	case filters.NotFound(err):
		return "not listed"
	}
	return fmt.Sprintf("the look-up failed (%T)", err)
}
