package relay

import (
	"bytes"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// maxHeader bounds the header section that is kept for filters, in octets.
const maxHeader = 1 << 20

// content shows a message to the chain while it passes. It collects the header
// section only if some filter asks for it.
type content struct {
	run      *chain.Run
	keep     bool // the header section is wanted and not complete
	header   []byte
	decision chain.Decision // anything but Continue is final
	ended    bool           // the chain has given its verdict on the whole
	tooLarge bool           // the header section is
	spool    *spool         // where the message is held, or nil
}

// begin opens the filters' sinks, and a spool in room, if there is one: then the message
// is held.
func (c *content) begin(run *chain.Run, t *terms, room *Room) {
	*c = content{run: run, keep: t.wants.Has(filters.EOH), header: c.header[:0]}
	if room != nil {
		c.spool = &spool{room: room, meters: t.Meters}
	}
	c.decision = run.BeginBody()
}

// close gives back what the message took.
func (c *content) close() {
	if c.spool != nil {
		c.spool.close()
		c.spool = nil
	}
}

// write shows a piece of the message.
func (c *content) write(piece []byte) {
	if c.settled() {
		return
	}
	if c.keep {
		c.collect(piece)
		if c.settled() {
			return
		}
	}
	c.decision = c.run.Body(piece)
	if c.spool != nil && !c.settled() {
		c.spool.write(piece)
	}
}

// settled reports whether the message is refused or discarded already.
func (c *content) settled() bool { return c.decision.Action != filters.Continue }

// collect adds to the header section and asks about it when it is complete.
func (c *content) collect(piece []byte) {
	from := max(0, len(c.header)-3)
	c.header = append(c.header, piece...)
	end := -1
	if bytes.HasPrefix(c.header, []byte("\r\n")) {
		end = 0
	} else if i := bytes.Index(c.header[from:], []byte("\r\n\r\n")); i >= 0 {
		end = from + i + 2
	}
	switch {
	case end >= 0:
		c.headerDone(c.header[:end])
	case len(c.header) > maxHeader:
		c.keep, c.tooLarge = false, true
		c.decision = chain.Decision{Action: filters.Reject, Reply: bigHeader}
	}
}

func (c *content) headerDone(section []byte) {
	c.keep = false
	c.decision = c.run.Header(filters.ParseHeader(string(section)))
	c.header = nil
}

// end asks for the verdict on the whole message, once.
func (c *content) end() chain.Decision {
	if c.ended {
		return c.decision
	}
	c.ended = true
	if c.keep && !c.settled() {
		c.headerDone(c.header)
	}
	if !c.settled() {
		c.decision = c.run.Message()
	}
	return c.decision
}
