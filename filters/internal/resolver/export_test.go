package resolver

import (
	"context"
	"net"

	"github.com/mailweir/mailweir/filters"
)

// EntryMemory is how many octets an entry may take on average.
const EntryMemory = entryMemory

// DialBy makes the resolver reach its servers by dial.
func (o Options) DialBy(dial func(ctx context.Context, network, address string) (net.Conn, error)) Options {
	o.dial = dial
	return o
}

// Question is a question as it is sent.
type Question struct{ q *query }

// NewQuestion returns a question in random case.
func NewQuestion(name string, typ filters.RecordType) (Question, error) {
	q, err := newQuery(key{name, typ}, true, true)
	return Question{q}, err
}

// Wire returns the packet.
func (q Question) Wire() []byte { return q.q.wire }

// Read reads a packet as a reply to the question; ok is false if it is none,
// or of no use. err is why there is no answer.
func (q Question) Read(packet []byte) (a filters.Answer, detail string, ok bool, err error) {
	if q.q.fits(packet) == stranger {
		return filters.Answer{}, "", false, nil
	}
	found, bad := q.q.read(packet)
	return found.answer, found.detail, bad == nil, found.err
}
