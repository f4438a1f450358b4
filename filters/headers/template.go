package headers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"text/template"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// maxValue bounds what a template may write, in octets.
const maxValue = 8 << 10

// Template is the value of a field, with actions in braces.
type Template struct {
	source string
	parsed *template.Template
}

// MarshalText returns the template as it is written.
func (t Template) MarshalText() ([]byte, error) { return []byte(t.source), nil }

// UnmarshalText parses a template, and tries it on the least that a message
// may be.
func (t *Template) UnmarshalText(text []byte) error {
	t.source = string(text)
	if strings.TrimSpace(t.source) == "" {
		return errors.New("an empty value makes no field")
	}
	parsed, err := template.New("").Funcs((&message{}).funcs()).Parse(t.source)
	if err != nil {
		return explain(err)
	}
	if err := check(parsed); err != nil {
		return err
	}
	t.parsed = parsed
	least := &filters.Transaction{
		Session: &filters.Session{ID: "b1ex627bgx3j", Listener: "x", Hostname: "x", Client: netip.AddrPortFrom(netip.IPv6Loopback(), 0)},
		Number:  1,
		From:    &filters.Path{Raw: "<>"},
		Rcpts:   []*filters.Path{{Local: "x", Raw: "<x>"}},
	}
	_, err = newMessage(context.Background(), least, time.Now()).expand(*t)
	return err
}

// explain leaves the place in the template and the reason in its errors.
func explain(err error) error {
	if place, ok := strings.CutPrefix(err.Error(), "template: :"); ok {
		return fmt.Errorf("line %s", strings.Replace(place, `: executing "" at`, ": at", 1))
	}
	return err
}

// errFull ends a template that writes more than it may.
var errFull = errors.New("value too long")

// bounded takes text up to maxValue.
type bounded struct{ strings.Builder }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if room := maxValue - b.Len(); len(p) > room {
		n, _ := b.Builder.Write(p[:room])
		return n, errFull
	}
	return b.Builder.Write(p)
}

// expand writes the text of a template about the message.
func (m *message) expand(t Template) (string, error) {
	own, err := t.parsed.Clone() // its functions are those of this message
	if err != nil {
		return "", err
	}
	var text bounded
	err = own.Funcs(m.funcs()).Execute(&text, m.data)
	if err != nil && !errors.Is(err, errFull) {
		return "", explain(err)
	}
	return text.String(), nil
}

// value returns the value of a field, folded, or "" for none.
func (m *message) value(f Field) (string, error) {
	text, err := m.expand(f.Value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.Name, err)
	}
	text = clean(text)
	if _, utf8 := m.tx.From.Param("SMTPUTF8"); !utf8 {
		text = encode(text)
	}
	return fold(f.Name, text), nil
}
