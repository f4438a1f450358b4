package headers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// data is what templates see as fields. The manual describes them.
type data struct {
	ID, Listener, Hostname string
	Client, Helo, From     string
	Rcpts                  list
	Size                   int64
	Date                   string
	Findings               list
}

// list prints its items with commas between them.
type list []string

// String implements fmt.Stringer.
func (l list) String() string { return strings.Join(l, ", ") }

// message is the message that templates are about.
type message struct {
	ctx  context.Context
	tx   *filters.Transaction
	data data
}

func newMessage(ctx context.Context, t *filters.Transaction, now time.Time) *message {
	s := t.Session
	m := &message{ctx, t, data{
		ID:       t.ID(),
		Listener: s.Listener,
		Hostname: s.Hostname,
		Client:   client(s),
		Helo:     s.Helo,
		From:     t.From.String(),
		Size:     t.Size,
		Date:     now.Format("Mon, 02 Jan 2006 15:04:05 -0700"),
	}}
	for _, to := range t.Rcpts {
		m.data.Rcpts = append(m.data.Rcpts, to.String())
	}
	for _, n := range t.Findings() {
		m.data.Findings = append(m.data.Findings, n.String())
	}
	return m
}

func client(s *filters.Session) string {
	if addr := s.Client.Addr(); addr.IsValid() {
		return addr.Unmap().String()
	}
	return "unknown"
}

// funcs are what templates may call.
func (m *message) funcs() template.FuncMap {
	return template.FuncMap{"header": m.header, "fact": m.fact}
}

// header returns the value of a field, unfolded.
func (m *message) header(name string) string { return clean(m.tx.Header.Get(name)) }

// fact returns a fact of the transaction or else of the session, "" if none
// has been set.
func (m *message) fact(name string) (string, error) {
	value, err := filters.LookupFact(m.ctx, m.tx, name)
	if errors.Is(err, filters.ErrNoFact) {
		value, err = filters.LookupFact(m.ctx, m.tx.Session, name)
	}
	if errors.Is(err, filters.ErrNoFact) || err == nil && value == nil {
		return "", nil
	}
	if words, ok := value.([]string); ok {
		value = list(words)
	}
	return fmt.Sprint(value), err
}

// trace is the value of the trace field.
func trace(t *filters.Transaction) string {
	s := t.Session
	found := "none"
	if noted := t.Findings(); len(noted) > 0 {
		words := make([]string, len(noted))
		for i, n := range noted {
			n.Filter, n.Reason = token(n.Filter), token(n.Reason)
			words[i] = n.String()
		}
		found = strings.Join(words, " ")
	}
	return fmt.Sprintf("id=%s; host=%s; listener=%s; client=%s; helo=%s; findings=%s",
		token(t.ID()), token(s.Hostname), token(s.Listener), token(client(s)), token(s.Helo), found)
}
