package relay

import (
	"io"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

func TestRewrite(t *testing.T) {
	const message = "Received: from a\r\n\tby b\r\nsubject:  one\r\nTo: x\r\nSubject: two\r\n\r\nbody\r\n.\r\n"
	body := message[strings.Index(message, "\r\n\r\n"):][2:]
	for _, c := range []struct {
		name  string
		in    string
		edits []filters.Edit
		out   string
	}{
		{"nothing", message, nil, message},
		{"add", message, []filters.Edit{filters.AddField{Name: "X", Value: "1"}},
			"Received: from a\r\n\tby b\r\nsubject:  one\r\nTo: x\r\nSubject: two\r\nX: 1\r\n" + body},
		{"insert at the top", message, []filters.Edit{filters.InsertField{Index: 0, Name: "X", Value: "1\n 2"}},
			"X: 1\r\n 2\r\n" + message},
		{"insert behind the first", message, []filters.Edit{filters.InsertField{Index: 2, Name: "X", Value: "1"}},
			"Received: from a\r\n\tby b\r\nX: 1\r\nsubject:  one\r\nTo: x\r\nSubject: two\r\n" + body},
		{"insert far behind", message, []filters.Edit{filters.InsertField{Index: 99, Name: "X", Value: "1"}},
			"Received: from a\r\n\tby b\r\nsubject:  one\r\nTo: x\r\nSubject: two\r\nX: 1\r\n" + body},
		{"change the second", message, []filters.Edit{filters.ChangeField{Name: "SUBJECT", Nth: 2, Value: "new"}},
			"Received: from a\r\n\tby b\r\nsubject:  one\r\nTo: x\r\nSubject: new\r\n" + body},
		{"change one that is not there", message, []filters.Edit{filters.ChangeField{Name: "X", Nth: 1, Value: "new"}},
			"Received: from a\r\n\tby b\r\nsubject:  one\r\nTo: x\r\nSubject: two\r\nX: new\r\n" + body},
		{"remove both", message, []filters.Edit{filters.RemoveField{Name: "Subject", Nth: 1}, filters.RemoveField{Name: "Subject", Nth: 2}},
			"Received: from a\r\n\tby b\r\nTo: x\r\n" + body},
		{"remove a folded one", message, []filters.Edit{filters.RemoveField{Name: "Received", Nth: 1}},
			"subject:  one\r\nTo: x\r\nSubject: two\r\n" + body},
		{"another body", message, []filters.Edit{filters.ReplaceBody{Body: strings.NewReader("a\nb\rc\r\n.d")}},
			strings.TrimSuffix(message, body) + "\r\na\r\nb\r\nc\r\n.d\r\n"},
		{"no body", message, []filters.Edit{filters.ReplaceBody{Body: strings.NewReader("")}},
			strings.TrimSuffix(message, body) + "\r\n"},
		{"header only", "A: 1\r\n", []filters.Edit{filters.AddField{Name: "X", Value: "1"}}, "A: 1\r\nX: 1\r\n"},
		{"no header", "\r\nbody\r\n", []filters.Edit{filters.AddField{Name: "X", Value: "1"}}, "X: 1\r\n\r\nbody\r\n"},
		{"a header that a line of junk ends", "A: 1\r\njunk\r\nB: 2\r\n", []filters.Edit{filters.AddField{Name: "X", Value: "1"}},
			"A: 1\r\nX: 1\r\njunk\r\nB: 2\r\n"},
		{"empty", "", []filters.Edit{filters.AddField{Name: "X", Value: "1"}}, "X: 1\r\n"},
	} {
		var p spool
		for i := range len(c.in) {
			p.write([]byte{c.in[i]})
		}
		r, err := p.rewrite(c.edits)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		out, err := io.ReadAll(r)
		if err != nil || string(out) != c.out {
			t.Errorf("%s: %q, %v, want %q", c.name, out, err, c.out)
		}
	}
}

// TestSpoolFile holds a message that does not fit into memory to come back
// whole, from any place.
func TestSpoolFile(t *testing.T) {
	var p spool
	defer p.close()
	var all strings.Builder
	for i := range 3000 {
		line := strings.Repeat("0123456789"[i%10:][:1], 400) + "\r\n"
		all.WriteString(line)
		p.write([]byte(line))
	}
	if p.err != nil {
		t.Fatal(p.err)
	}
	if p.file == nil || len(p.mem) > spoolMemory {
		t.Fatalf("%d octets in memory", len(p.mem))
	}
	for _, n := range []int{0, 1, len(p.mem) - 1, len(p.mem), len(p.mem) + 1, all.Len()} {
		out, err := io.ReadAll(p.reader(int64(n)))
		if err != nil || string(out) != all.String()[n:] {
			t.Errorf("from %d: %d octets, %v", n, len(out), err)
		}
	}
}
