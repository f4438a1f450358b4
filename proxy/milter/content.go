package milter

import (
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// maxHeader bounds the header section that is kept for filters, in octets.
const maxHeader = 1 << 20

// content is what is known of a message while it passes. The MTA tells its
// fields one by one; filters see them at once.
type content struct {
	section  strings.Builder // the header section, as it was on the wire
	fields   filters.Header
	judged   bool // the header section has been
	tooLarge bool // the header section is
	unedited bool // the edits could not be made
}

// add notes a field. spaced tells that the value has the space behind the colon
// that it came with; without it the space is put back, for most have one.
func (c *content) add(name, value string, spaced bool) {
	if c.section.Len()+len(name)+len(value) > maxHeader {
		c.tooLarge = true
	}
	if c.tooLarge {
		return
	}
	if !spaced {
		value = " " + value
	}
	value = strings.ReplaceAll(strings.ReplaceAll(value, "\r\n", "\n"), "\n", "\r\n")
	c.fields = append(c.fields, filters.Field{Name: name, Value: value})
	c.section.WriteString(name)
	c.section.WriteByte(':')
	c.section.WriteString(value)
	c.section.WriteString("\r\n")
}

// headerDone shows the header section to the chain, once.
func (c *content) headerDone(run *chain.Run, wants filters.Stages) chain.Decision {
	if c.judged {
		return chain.Decision{}
	}
	c.judged = true
	if c.tooLarge {
		run.Transaction().Size += int64(c.section.Len())
		refused := bigHeader
		refused.Text += " (id " + run.Transaction().ID() + ")"
		return chain.Decision{Action: filters.Reject, Reply: refused}
	}
	d := run.BeginBody()
	if d.Action == filters.Continue && wants.Has(filters.EOH) {
		d = run.Header(c.fields)
	}
	if d.Action == filters.Continue && wants.Has(filters.Body) {
		c.section.WriteString("\r\n")
		d = run.Body([]byte(c.section.String()))
	}
	c.section.Reset()
	return d
}
