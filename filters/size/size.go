// Package size limits the size of messages.
package size

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mailweir/mailweir/filters"
)

const doc = `Limits the size of messages.

The size is counted as RFC 1870 says: header section and body with their line
ends, without the dots that protect lines. A sender who declares the size hears
the refusal at MAIL; otherwise the octets are counted as they pass. EHLO offers
the limit with the keyword SIZE, or the upstream's if that is lower.

Example:

    - size: {max: 25MiB}

Reasons:

    declared_size   552 5.3.4 at MAIL
    size            552 5.3.4 at the end of the message
`

// Config is the configuration of one filter.
type Config struct {
	Max filters.Bytes `yaml:"max" doc:"greatest message, in octets or with a unit: 52428800, 50MB, 50MiB"`
}

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{Name: "size", Doc: doc}, Config{Max: 50 << 20}, build)

var (
	_ filters.MailFilter = (*filter)(nil)
	_ filters.BodyFilter = (*filter)(nil)
	_ filters.Announcer  = (*filter)(nil)
	_ filters.Finisher   = (*counter)(nil)
)

type filter struct {
	max     int64 // octets
	tooMuch string
}

func build(_ filters.Env, c *Config) (filters.Filter, error) {
	if c.Max < 1 {
		return nil, errors.New("max: a limit below one octet would refuse all mail")
	}
	return &filter{
		max:     int64(c.Max),
		tooMuch: fmt.Sprintf("The message is larger than the limit of %s (%d octets)", c.Max, int64(c.Max)),
	}, nil
}

func (f *filter) refuse(reason string) filters.Verdict {
	return filters.Refuse(reason, 552, [3]uint16{5, 3, 4}, f.tooMuch)
}

// Mail looks at the size that the client declares.
func (f *filter) Mail(_ context.Context, t *filters.Transaction) filters.Verdict {
	if t.Declared > f.max {
		return f.refuse("declared_size")
	}
	return filters.Verdict{}
}

// Body counts the content as it passes.
func (f *filter) Body(context.Context, *filters.Transaction) io.Writer {
	return &counter{filter: f}
}

// Announce offers the limit.
func (f *filter) Announce(a *filters.Announcement) { a.LimitSize(f.max) }

// counter is the sink for one message.
type counter struct {
	filter *filter
	octets int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.octets += int64(len(p))
	if c.octets > c.filter.max {
		return len(p), filters.ErrDecided
	}
	return len(p), nil
}

// Finish refuses what was too much.
func (c *counter) Finish(context.Context) filters.Verdict {
	if c.octets > c.filter.max {
		return c.filter.refuse("size")
	}
	return filters.Verdict{}
}
