package proxy_test

import (
	"fmt"
	"slices"
	"strings"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
)

// An exchange is a command and the reply to it, or a message and the reply to
// that.
type exchange struct {
	command string  // with its verb in upper case; "." for a message
	reply   string  // without the last CRLF
	message parties // in the words of MAIL and RCPT
	content string
}

// exchanges reads what is said between a client and a server.
func exchanges(steps []step) []exchange {
	var list []exchange
	for len(steps) > 0 {
		commands := runOf(steps, 'C')
		if commands == 0 {
			steps = steps[1:]
			continue
		}
		replies := repliesIn(steps[commands:])
		for i := range min(commands, len(replies)) {
			list = append(list, newExchange(steps[i].text, replies[i]))
		}
		steps = steps[commands+runOf(steps[commands:], 'S'):]
		if len(list) > 0 && strings.HasPrefix(list[len(list)-1].reply, "354") {
			var text exchange
			if text, steps = readText(steps); text.reply != "" {
				list = append(list, text)
			}
		}
	}
	return list
}

func newExchange(line string, reply []step) exchange {
	verb, args, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
	return exchange{command: strings.TrimRight(strings.ToUpper(verb)+" "+args, " "), reply: textOf(reply)}
}

func textOf(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.text)
	}
	return strings.TrimSuffix(b.String(), "\r\n")
}

// readText reads a text, with its reply if it came to an end.
func readText(steps []step) (exchange, []step) {
	var text strings.Builder
	n := runOf(steps, 'C')
	for _, s := range steps[:n] {
		text.WriteString(s.text)
	}
	steps = steps[n:]
	content, whole := strings.CutSuffix("\r\n"+text.String(), "\r\n.\r\n")
	replies := repliesIn(steps)
	if !whole || len(replies) != 1 {
		return exchange{}, steps
	}
	content = strings.ReplaceAll(content+"\r\n", "\r\n.", "\r\n")[2:]
	return exchange{command: ".", reply: textOf(replies[0]), content: content}, steps[len(replies[0]):]
}

// answers are what the upstream of a transcript says, as far as it has not been
// said yet.
type answers struct {
	words *words
	left  []exchange
}

func newAnswers(words *words, scenes []scene) *answers {
	a := answers{words: words}
	var e parties
	for _, s := range scenes {
		for _, x := range exchanges(s.steps) {
			switch verb, args, _ := strings.Cut(x.command, ":"); {
			case verb == "MAIL FROM":
				e = parties{from: filters.Path{Raw: args}}
			case verb == "RCPT TO" && x.reply[0] == '2':
				e.rcpts = append(slices.Clip(e.rcpts), filters.Path{Raw: args})
			case verb == ".":
				x.message = e
			}
			a.left = append(a.left, x)
		}
	}
	return &a
}

// find returns where the command comes next. It does not look behind other
// steps of a transaction: they must come first.
func (a *answers) find(command string) int {
	for i, x := range a.left {
		switch verb, _, _ := strings.Cut(x.command, " "); {
		case x.command == command:
			return i
		case verb == "MAIL" || verb == "RCPT" || verb == "DATA" || verb == ".":
			return -1
		}
	}
	return -1
}

// refuses returns the upstream's refusal of a command, or "".
func (a *answers) refuses(command string) string {
	if i := a.find(command); i >= 0 && a.left[i].reply[0] >= '4' {
		return a.to(command, "")
	}
	return ""
}

// to returns the upstream's reply to a command, or the other one if it does not
// hear it.
func (a *answers) to(command, otherwise string) string {
	i := a.find(command)
	if i < 0 {
		return otherwise
	}
	reply := a.left[i].reply
	a.left = a.left[i+1:]
	return reply
}

// deliver hands a message on, which must be the one that the upstream expects.
func (a *answers) deliver(m *message) (string, error) {
	i := slices.IndexFunc(a.left, func(x exchange) bool { return x.command == "." })
	if i < 0 {
		return "", fmt.Errorf("nobody expects the message\n%s", m)
	}
	want := a.left[i]
	a.left = a.left[i+1:]
	expected := &message{parties: want.message, body: want.content}
	if !a.words.match(expected.String(), m.String()) {
		return "", fmt.Errorf("the message is\n%swant\n%s", m, expected)
	}
	return want.reply, nil
}

// missing returns the messages that are still expected.
func (a *answers) missing() []string {
	var list []string
	for _, x := range a.left {
		if x.command == "." {
			list = append(list, (&message{parties: x.message, body: x.content}).String())
		}
	}
	return list
}

// The parties of a message are who sends it and who gets it.
type parties struct {
	from  filters.Path
	rcpts []filters.Path
}

// A message is what an MTA has taken.
type message struct {
	parties
	fields     []field
	empty      string // the empty line behind them, or nothing if there is none
	body       string
	quarantine string // why it is to be held
}

// field is a header field as it stands, with its CRLF.
type field string

// readMessage cuts a message into its fields and the rest. The header section
// ends with a line that is no field.
func readMessage(e parties, content []byte) *message {
	m := &message{parties: e, body: string(content)}
	for {
		n := fieldLength(m.body)
		if n == 0 {
			break
		}
		m.fields, m.body = append(m.fields, field(m.body[:n])), m.body[n:]
	}
	if rest, ok := strings.CutPrefix(m.body, "\r\n"); ok {
		m.empty, m.body = "\r\n", rest
	}
	return m
}

func fieldLength(text string) int {
	name, _, ok := strings.Cut(text, ":")
	if !ok || !filters.IsFieldName(strings.TrimRight(name, " \t")) {
		return 0
	}
	n := 0
	for {
		n += strings.Index(text[n:], "\r\n") + 2
		if n >= len(text) || text[n] != ' ' && text[n] != '\t' {
			return n
		}
	}
}

func (f field) name() string {
	name, _, _ := strings.Cut(string(f), ":")
	return strings.TrimRight(name, " \t")
}

// forMilter returns name and value as they are told to a milter: with the
// space behind the colon if it wants that.
func (f field) forMilter(spaced bool) (name, value string) {
	_, value, _ = strings.Cut(strings.TrimSuffix(string(f), "\r\n"), ":")
	if !spaced {
		value = strings.TrimPrefix(value, " ")
	}
	return f.name(), strings.ReplaceAll(value, "\r\n", "\n")
}

func newField(name, value string, spaced bool) field {
	if !spaced {
		value = " " + value
	}
	return field(name + ":" + strings.ReplaceAll(value, "\n", "\r\n") + "\r\n")
}

// edit makes a milter's edits, as Postfix does. A Received field that an MTA
// adds stands in front of the others here, as far as places are concerned.
func (m *message) edit(edits []lib.ModifyAction, spaced bool) error {
	own := field("Received: here\r\n")
	m.fields = slices.Insert(m.fields, 0, own)
	replaced := false
	for _, e := range edits {
		switch e.Type {
		case lib.ActionAddHeader:
			m.fields = append(m.fields, newField(e.HeaderName, e.HeaderValue, spaced))
		case lib.ActionInsertHeader:
			at := min(int(e.HeaderIndex), len(m.fields))
			m.fields = slices.Insert(m.fields, at, newField(e.HeaderName, e.HeaderValue, spaced))
		case lib.ActionChangeHeader:
			m.change(own, e, spaced)
		case lib.ActionAddRcpt:
			m.rcpts = append(slices.Clip(m.rcpts), filters.Path{Raw: e.Rcpt, Params: e.RcptArgs})
		case lib.ActionDelRcpt:
			m.rcpts = slices.DeleteFunc(slices.Clone(m.rcpts), func(p filters.Path) bool { return p.Raw == e.Rcpt })
		case lib.ActionChangeFrom:
			m.from = filters.Path{Raw: e.From, Params: e.FromArgs}
		case lib.ActionReplaceBody:
			if !replaced {
				m.body, m.empty, replaced = "", "\r\n", true
			}
			m.body += string(e.Body)
		case lib.ActionQuarantine:
			m.quarantine = e.Reason
		default:
			return fmt.Errorf("cannot %s", e)
		}
	}
	if replaced {
		m.body = strings.ReplaceAll(strings.ReplaceAll(m.body, "\r\n", "\n"), "\n", "\r\n")
		if m.body != "" && !strings.HasSuffix(m.body, "\n") {
			m.body += "\r\n"
		}
	}
	m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return f == own })
	return nil
}

// change gives the nth field of a name another value, removes it if that is
// empty, and adds one if there is none.
func (m *message) change(own field, e lib.ModifyAction, spaced bool) {
	nth := int(max(e.HeaderIndex, 1))
	for i, f := range m.fields {
		if f == own || !strings.EqualFold(f.name(), e.HeaderName) {
			continue
		}
		if nth--; nth > 0 {
			continue
		}
		if e.HeaderValue == "" {
			m.fields = slices.Delete(m.fields, i, i+1)
		} else {
			m.fields[i] = newField(f.name(), e.HeaderValue, spaced)
		}
		return
	}
	if e.HeaderValue != "" {
		m.fields = append(m.fields, newField(e.HeaderName, e.HeaderValue, spaced))
	}
}

// String shows the parties and the content.
func (m *message) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, pathCommand("MAIL FROM:", m.from))
	for _, to := range m.rcpts {
		fmt.Fprintln(&b, pathCommand("RCPT TO:", to))
	}
	content := m.empty + m.body
	for _, f := range slices.Backward(m.fields) {
		content = string(f) + content
	}
	for line := range strings.Lines(content) {
		fmt.Fprintf(&b, "%q\n", line)
	}
	return b.String()
}
