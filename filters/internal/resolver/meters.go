package resolver

import (
	"context"
	"errors"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// outcomes of questions, as metrics name them.
const (
	answered = iota
	noName
	noData
	failed
	silent
	canceled
	busy
)

var outcomeNames = [...]string{"answer", "nxdomain", "nodata", "servfail", "timeout", "canceled", "refused_busy"}

// types that are asked for.
var types = [...]filters.RecordType{filters.TypeA, filters.TypeAAAA, filters.TypePTR, filters.TypeMX, filters.TypeTXT, filters.TypeSRV}

// knownType returns the name of a type that is asked for, "" for others.
func knownType(t filters.RecordType) string {
	for _, known := range types {
		if t == known {
			return known.String()
		}
	}
	return ""
}

// How an exchange with a server ends, as metrics name it.
const (
	exchangeOK        = "ok"
	exchangeTimeout   = "timeout"
	exchangeMismatch  = "mismatch"  // a packet that is no reply to the question; the exchange goes on
	exchangeTruncated = "truncated" // TCP follows
	exchangeCase      = "case"      // other letters than asked for: TCP follows
	exchangeFailure   = "failure"   // SERVFAIL, REFUSED and the like
	exchangeGarbage   = "garbage"   // the reply cannot be read
	exchangeError     = "error"     // of the network
	exchangeCanceled  = "canceled"
)

// labels of each type and outcome, made once: answers from the cache are
// counted without allocating.
type meters struct {
	questions, cached, exchanges filters.Counter
	seconds                      filters.Histogram
	entries, flying              filters.Gauge
	labels                       map[filters.RecordType][len(outcomeNames)][]string
	hits                         []string
}

func newMeters(m filters.Metrics) *meters {
	env := filters.Env{Metrics: m}
	out := &meters{
		questions: env.Counter("mailweir_dns_questions_total", "Questions to the DNS, by type of record and outcome.", "type", "outcome"),
		cached:    env.Counter("mailweir_dns_cache_total", "Questions to the DNS that the cache answered (hit), that waited for the same question already in flight (shared), or that the servers were asked (miss).", "result"),
		exchanges: env.Counter("mailweir_dns_exchanges_total", "Exchanges with name servers, by transport and result; mismatch counts packets that were no reply to the question.", "transport", "result"),
		seconds:   env.Histogram("mailweir_dns_seconds", "How long questions took that name servers were asked.", []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2, 4, 8}),
		entries:   env.Gauge("mailweir_dns_cache_entries", "Answers in the cache of the DNS."),
		flying:    env.Gauge("mailweir_dns_in_flight", "Questions that name servers are being asked."),
		labels:    map[filters.RecordType][len(outcomeNames)][]string{},
		hits:      []string{"hit"},
	}
	for _, t := range types {
		var row [len(outcomeNames)][]string
		for i, name := range outcomeNames {
			row[i] = []string{t.String(), name}
		}
		out.labels[t] = row
	}
	out.entries.Set(0)
	out.flying.Set(0)
	return out
}

// hit counts an answer from the cache.
func (m *meters) hit(t filters.RecordType, err error) {
	m.cached.Add(1, m.hits...)
	m.question(t, outcomeOf(err))
}

func (m *meters) question(t filters.RecordType, outcome int) {
	if row, ok := m.labels[t]; ok {
		m.questions.Add(1, row[outcome]...)
	}
}

func (m *meters) exchange(transport, result string) { m.exchanges.Add(1, transport, result) }

func (m *meters) took(d time.Duration) { m.seconds.Observe(d.Seconds()) }

func outcomeOf(err error) int {
	switch {
	case err == nil:
		return answered
	case errors.Is(err, filters.ErrNXDomain):
		return noName
	case errors.Is(err, filters.ErrNoData):
		return noData
	case errors.Is(err, filters.ErrDNSTimeout):
		return silent
	case errors.Is(err, context.Canceled):
		return canceled
	}
	return failed
}
