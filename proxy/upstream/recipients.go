package upstream

import (
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/mailweir/mailweir/filters"
)

// RecipientOptions says how refused recipients are remembered.
type RecipientOptions struct {
	TTL     time.Duration // how long a refusal holds
	Refresh time.Duration // after which it is asked for anew
	Entries int           // most of them
}

// askAgain is when the next one asks anew about a recipient, if who was to do
// so has not come back.
const askAgain = time.Minute

// maxAddress is the longest address that is remembered, in octets (RFC 5321
// section 4.5.3.1.3).
const maxAddress = 256

// Recipients are refused recipients that are remembered, so that guessing
// addresses costs the upstream one question for each. They are of one group,
// and safe for concurrent use. Nil remembers nothing.
//
// When there are too many, the one is forgotten that was not asked for for the
// longest time.
type Recipients struct {
	ttl, refresh time.Duration
	now          func() time.Time

	mu  sync.Mutex
	all *simplelru.LRU[string, *refusal]
}

// refusal is what is known of an address.
type refusal struct {
	reply filters.Reply
	until time.Time // when it is forgotten
	ask   time.Time // when the next one asks anew
}

// NewRecipients returns a memory of none.
func NewRecipients(o RecipientOptions, now func() time.Time) *Recipients {
	all, _ := simplelru.NewLRU[string, *refusal](max(o.Entries, 1), nil) // it fails for sizes below 1
	return &Recipients{ttl: o.TTL, refresh: o.Refresh, now: now, all: all}
}

// Refused returns the refusal of an address, without its angle brackets, that
// can be given to a client unasked. ok is false if the upstream is to be asked:
// nothing is known of the address, or this caller is the one to ask anew. Who
// is owes a Note; others get the old refusal meanwhile, and if no Note has come
// after a minute, the next one asks.
func (r *Recipients) Refused(address string) (reply filters.Reply, ok bool) {
	if r == nil || len(address) > maxAddress {
		return filters.Reply{}, false
	}
	key := recipientKey(address)
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.all.Get(key)
	if !ok {
		return filters.Reply{}, false
	}
	switch now := r.now(); {
	case !now.Before(known.until):
		r.all.Remove(key)
		return filters.Reply{}, false
	case !now.Before(known.ask):
		known.ask = now.Add(askAgain)
		return filters.Reply{}, false
	}
	return known.reply, true
}

// Note takes the upstream's reply to RCPT for an address, without its angle
// brackets. One that says that the address does not exist, for good, is
// remembered; one that shows that it does makes it forgotten; all others leave
// what is known as it is.
func (r *Recipients) Note(address string, reply filters.Reply) {
	if r == nil || len(address) > maxAddress {
		return
	}
	about := recipientStatus(reply)
	if about == recipientUnclear {
		return
	}
	key := recipientKey(address)
	r.mu.Lock()
	defer r.mu.Unlock()
	if about == recipientExists {
		r.all.Remove(key)
		return
	}
	now := r.now()
	reply.Text = boundedText(reply.Text)
	r.all.Add(strings.Clone(key), &refusal{reply: reply, until: now.Add(r.ttl), ask: now.Add(r.refresh)})
}

// recipientKey returns an address as it is remembered: the local part as it is,
// which its host alone can read (RFC 5321 section 2.4), the domain's letters in
// lower case.
func recipientKey(address string) string {
	domain := strings.LastIndexByte(address, '@') + 1
	upper := func(r rune) bool { return 'A' <= r && r <= 'Z' }
	if domain == 0 || strings.IndexFunc(address[domain:], upper) < 0 {
		return address
	}
	key := []byte(address)
	for i := domain; i < len(key); i++ {
		if upper(rune(key[i])) {
			key[i] += 'a' - 'A'
		}
	}
	return string(key)
}
