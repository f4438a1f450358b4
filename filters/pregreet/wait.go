package pregreet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// waits counts how the waits before the greeting end.
type waits struct {
	total   filters.Counter
	seconds filters.Histogram
}

func newWaits(env filters.Env) waits {
	return waits{
		total: env.Counter("mailweir_pregreet_waits_total",
			"Waits of clients for the greeting, by how they ended.", "result"),
		seconds: env.Histogram("mailweir_pregreet_wait_seconds",
			"How long clients waited for the greeting.", []float64{0.1, 0.5, 1, 2, 4, 6, 10, 30}),
	}
}

// letWait makes the client wait, and listens.
func (f *filter) letWait(ctx context.Context, s *filters.Session, v *visit) filters.Verdict {
	wait := f.Wait
	if s.Load >= f.BusyShare {
		wait = min(wait, f.BusyWait)
	}
	if wait == 0 {
		return filters.Verdict{} // that would be no test
	}
	if f.Teaser != "" && s.Wire.Tease(f.Teaser) != nil {
		return filters.Verdict{} // it has gone: the session will find out
	}
	began := time.Now()
	said, trusted := f.listen(ctx, s, wait)
	took := time.Since(began)
	f.waits.seconds.Observe(took.Seconds())
	switch {
	case len(said) > 0:
		f.waits.total.Add(1, "talked")
		return f.broken(v, earlyTalk, said)
	case took >= wait:
		f.waits.total.Add(1, "silent")
		f.pass(v, tests(0).with(earlyTalk))
	case trusted:
		f.waits.total.Add(1, "trusted")
	default: // or mailweir is about to end
		f.waits.total.Add(1, "gone")
	}
	return filters.Verdict{}
}

// scoreFact is the fact that the kind dnsbl sets. There may be none.
const scoreFact = "dnsbl.score"

var errTrusted = errors.New("the client has the trust of a list")

// listen waits until the client talks, or is trusted meanwhile.
func (f *filter) listen(ctx context.Context, s *filters.Session, wait time.Duration) (said []byte, trusted bool) {
	if f.TrustScore == 0 {
		return s.Wire.Listen(ctx, wait), false
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		score, err := filters.LookupFact(ctx, s, scoreFact)
		if n, ok := score.(int); err == nil && ok && n <= f.TrustScore {
			cancel(errTrusted)
		}
	})
	said = s.Wire.Listen(ctx, wait)
	cancel(nil)
	looking.Wait()
	return said, context.Cause(ctx) == errTrusted
}
