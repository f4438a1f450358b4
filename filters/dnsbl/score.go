package dnsbl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// tally is the state of the score.
type tally struct {
	score     int // of the answers that have come
	low, high int // between which it will come to lie
	until     time.Time
}

// tally adds up the parts, of which some may be nil. The parts are of one
// inquiry, whose lock is held.
func (f *filter) tally(parts ...*part) (t tally) {
	for i, z := range f.zones {
		mask, pending := uint64(0), false
		for _, p := range parts {
			if p == nil {
				continue
			}
			mask |= p.results[i].mask
			if !p.results[i].done {
				pending = true
				if p.deadline.After(t.until) {
					t.until = p.deadline
				}
			}
		}
		n := z.counts(mask)
		t.score += n
		if pending {
			low, high := z.span(mask)
			t.low += low
			t.high += high
		} else {
			t.low += n
			t.high += n
		}
	}
	return t
}

// await waits until the outcome is certain, or time is over, and returns the
// score by then and whether it refuses.
func (f *filter) await(ctx context.Context, q *inquiry, parts ...*part) (score int, refused bool) {
	for {
		q.mu.Lock()
		t := f.tally(parts...)
		q.mu.Unlock()
		wait := time.Until(t.until)
		switch {
		case t.low >= f.threshold:
			return t.score, true
		case t.high < f.threshold, wait <= 0, !q.pause(ctx, wait):
			return t.score, t.score >= f.threshold
		}
	}
}

// pause waits for a result. It reports false when time is over.
func (q *inquiry) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-q.arrived:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// hit is one list's say, for replies, logs and reports.
type hit struct {
	*zone
	part   *part
	result result
	counts int
}

// hits returns what the parts have come to, by zone. A zone that was asked
// about several subjects counts each of its rules once: the first hit has it.
func (f *filter) hits(q *inquiry, parts ...*part) []hit {
	q.mu.Lock()
	defer q.mu.Unlock()
	var hits []hit
	for i, z := range f.zones {
		mask := uint64(0)
		for _, p := range parts {
			if p == nil || p.lists[i] == nil {
				continue
			}
			before := z.counts(mask)
			mask |= p.results[i].mask
			hits = append(hits, hit{z, p, p.results[i], z.counts(mask) - before})
		}
	}
	return hits
}

// refusal returns the verdict that refuses.
func (f *filter) refusal(s *filters.Session, t *filters.Transaction, score int, hits []hit) filters.Verdict {
	v := filters.Refuse("dnsbl", 550, [3]uint16{5, 7, 1}, f.wording(s, t, score, hits))
	v.Finding.Err = errors.New(f.detail(score, hits))
	return v
}

// wording fills in the template of the list that counts most.
func (f *filter) wording(s *filters.Session, t *filters.Transaction, score int, hits []hit) string {
	top := slices.MaxFunc(hits, func(a, b hit) int { return cmp.Compare(a.counts, b.counts) })
	answer := answers(top.result.addrs)
	meaning := cmp.Or(top.meaning(top.result.mask), answer)
	sender := ""
	if t != nil && t.From != nil {
		sender = t.From.String()
	}
	return top.reply.fill(map[string]string{
		"client":  s.Client.Addr().Unmap().WithZone("").String(),
		"subject": top.part.shown,
		"zone":    top.shown,
		"answer":  answer,
		"meaning": meaning,
		"text":    cmp.Or(top.result.text, meaning),
		"score":   strconv.Itoa(score),
		"helo":    s.Helo,
		"sender":  sender,
	})
}

// detail says for the log what each list had to say.
func (f *filter) detail(score int, hits []hit) string {
	var out strings.Builder
	fmt.Fprintf(&out, "score %d of %d", score, f.threshold)
	sep := ": "
	for _, h := range hits {
		about := ""
		if h.part.check != CheckClient {
			about = " about " + h.part.shown
		}
		switch r := h.result; {
		case !r.done || r.state == Clean:
			continue
		case r.state == Listed:
			fmt.Fprintf(&out, "%s%s%s %s", sep, h.shown, about, answers(r.addrs))
			if meaning := h.meaning(r.mask); meaning != "" {
				fmt.Fprintf(&out, " (%s)", meaning)
			}
			fmt.Fprintf(&out, " %d", h.counts)
		default:
			fmt.Fprintf(&out, "%s%s%s does not count (%s)", sep, h.shown, about, cmp.Or(r.cause, string(r.state)))
		}
		sep = ", "
	}
	return out.String()
}

// maxAnswers is how many of a list's answers are shown.
const maxAnswers = 8

func answers(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs[:min(len(addrs), maxAnswers)] {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}
