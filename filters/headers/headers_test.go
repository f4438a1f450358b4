package headers_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/headers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newFilter(t testing.TB, options string) filters.MessageFilter {
	t.Helper()
	env, _ := filtertest.Env("")
	return filtertest.New[filters.MessageFilter](t, env, headers.Kind, options)
}

// message is a transaction at its end, with that header section.
func message(section string) *filters.Transaction {
	s := filtertest.Session("192.0.2.1")
	s.Helo = "mail.example.com"
	tx := &filters.Transaction{
		Session: s,
		Number:  2,
		From:    filtertest.Path("alice@example.com"),
		Rcpts:   []*filters.Path{filtertest.Path("bob@example.org"), filtertest.Path("carol@example.org")},
		Size:    1234,
		Header:  filters.ParseHeader(section),
	}
	tx.Allow(filters.EditHeader)
	return tx
}

// show spells edits, each as one line.
func show(edits []filters.Edit) string {
	var lines []string
	for _, e := range edits {
		switch e := e.(type) {
		case filters.AddField:
			lines = append(lines, fmt.Sprintf("add %s: %s", e.Name, e.Value))
		case filters.InsertField:
			lines = append(lines, fmt.Sprintf("insert %d %s: %s", e.Index, e.Name, e.Value))
		case filters.ChangeField:
			lines = append(lines, fmt.Sprintf("change %s %d: %s", e.Name, e.Nth, e.Value))
		case filters.RemoveField:
			lines = append(lines, fmt.Sprintf("remove %s %d", e.Name, e.Nth))
		default:
			lines = append(lines, fmt.Sprintf("%T", e))
		}
	}
	return strings.Join(lines, "\n")
}

// edits asks about a message and returns the edits, or the failure.
func edits(f filters.MessageFilter, tx *filters.Transaction) string {
	if v := f.Message(context.Background(), tx); v != (filters.Verdict{}) {
		return filtertest.Show(v)
	}
	return show(tx.Edits())
}

const section = "Received: from a\r\n\tby b\r\nX-Spam-Score: 1\r\nSubject: one\r\n two\r\nx-spam-flag: no\r\nX-SPAM-SCORE: 2\r\nX-Spam: x\r\n"

func TestEdits(t *testing.T) {
	for _, c := range []struct{ options, want string }{
		{"add: [{name: X-A, value: a}, {name: X-B, value: b}]", "add X-A: a\nadd X-B: b"},
		{"insert: [{name: X-A, value: a}, {name: X-B, value: b}]", "insert 1 X-B: b\ninsert 1 X-A: a"},
		{"insert: [{name: A, value: a, index: 0}, {name: B, value: b, index: 3}, {name: C, value: c, index: 0}, {name: D, value: d}]",
			"insert 3 B: b\ninsert 1 D: d\ninsert 0 C: c\ninsert 0 A: a"},

		{"remove: [Subject]", "remove Subject 1"},
		{"remove: [subject, Nothing]", "remove Subject 1"},
		{"remove: [x-spam-score]", "remove X-Spam-Score 2\nremove X-Spam-Score 1"},
		{"remove: [X-Spam-*, X-Spam-Score]", "remove X-Spam-Score 2\nremove X-Spam-Score 1\nremove x-spam-flag 1"},
		{"remove: [X-Spam*]", "remove X-Spam-Score 2\nremove X-Spam-Score 1\nremove x-spam-flag 1\nremove X-Spam 1"},
		{"remove: [X-Spam]", "remove X-Spam 1"},

		{"replace: [{name: Subject, value: s}]", "change Subject 1: s"},
		{"replace: [{name: X-Spam-score, value: s}]", "remove X-Spam-Score 2\nchange X-Spam-score 1: s"},
		{"replace: [{name: X-New, value: s}]", "change X-New 1: s"},
		{`replace: [{name: X-Spam-Score, value: '{{fact "a.b"}}'}]`, "remove X-Spam-Score 2\nremove X-Spam-Score 1"},
		{"{replace: [{name: X-Spam-Score, value: s}], remove: [X-Spam-*]}", "remove x-spam-flag 1\nremove X-Spam-Score 2\nchange X-Spam-Score 1: s"},

		{"{add: [{name: A, value: a}], trace: true, insert: [{name: I, value: i, index: 0}], replace: [{name: R, value: r}], remove: [Subject]}",
			"remove Subject 1\nchange R 1: r\ninsert 0 I: i\n" +
				"insert 0 X-Mailweir: id=s1.2; host=mx.example.org; listener=mx; client=192.0.2.1;\r\n helo=mail.example.com; findings=none\nadd A: a"},
		{`add: [{name: A, value: '{{if eq .Listener "other"}}x{{end}}'}, {name: B, value: '{{.Listener}}'}]`, "add B: mx"},
		{`insert: [{name: A, value: '{{header "Nothing"}}'}]`, ""},
	} {
		if got := edits(newFilter(t, c.options), message(section)); got != c.want {
			t.Errorf("{%s}:\n%s\nwant\n%s", c.options, got, c.want)
		}
	}
}

// What earlier filters put in is there too.
func TestEditsAfterOthers(t *testing.T) {
	tx := message("X-A: 1\r\n")
	for _, e := range []filters.Edit{
		filters.AddField{Name: "x-a", Value: "2"},
		filters.InsertField{Name: "X-B", Value: "1"},
		filters.ChangeField{Name: "X-C", Nth: 1, Value: "1"},
		filters.ChangeField{Name: "X-C", Nth: 1, Value: "2"},
	} {
		if err := tx.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	had := len(tx.Edits())
	if v := newFilter(t, "remove: [X-*]").Message(context.Background(), tx); v != (filters.Verdict{}) {
		t.Fatal(filtertest.Show(v))
	}
	want := "remove X-A 2\nremove X-A 1\nremove X-B 1\nremove X-C 1"
	if got := show(tx.Edits()[had:]); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestStages(t *testing.T) {
	for options, want := range map[string]filters.Stages{
		"":                                    0,
		"{trace_name: X-Trace}":               0,
		"trace: true":                         filters.StageSet(filters.EOH, filters.EOM),
		"remove: [X]":                         filters.StageSet(filters.EOH, filters.EOM),
		"add: [{name: X, value: x}]":          filters.StageSet(filters.EOH, filters.EOM),
		"insert: [{name: X, value: x}]":       filters.StageSet(filters.EOH, filters.EOM),
		"replace: [{name: X, value: x}]":      filters.StageSet(filters.EOH, filters.EOM),
		"{remove: [], add: [], trace: false}": 0,
	} {
		if got := filters.StagesOf(newFilter(t, options)); got != want {
			t.Errorf("{%s}: %v, want %v", options, got, want)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	env, _ := filtertest.Env("")
	value := func(v string) string { return "add: [{name: X, value: '" + v + "'}]" }
	for options, want := range map[string]string{
		`remove: ["*"]`:                                  "every field",
		`remove: ["X-*-A"]`:                              "at the end only",
		`remove: ["X A"]`:                                "is no field name",
		`remove: ["X:"]`:                                 "leave the colon out",
		`remove: [""]`:                                   "is no field name",
		"trace_name: Ü":                                  "is no field name",
		`add: [{name: "X-A:", value: a}]`:                "leave the colon out",
		`add: [{name: "X\r\nY", value: a}]`:              "is no field name",
		"add: [{name: " + strings.Repeat("X", 65) + "}]": "want at most 64",
		"add: [{name: X}]":                               "add: a field without name or value",
		"replace: [{value: x}]":                          "replace: a field without name or value",
		"insert: [{}]":                                   "insert: a field without name or value",
		"insert: [{name: X, value: x, index: -1}]":       "insert: index -1",
		"replace: [{name: X-a, value: x}, {name: x-A, value: x}]": "replace: x-A stands there twice",
		`add: [{name: X, value: " "}]`:                            "empty value",

		value("{{.Client"): "line 1: unclosed action",
		value("{{.Hlo}}"):  "there is no {{.Hlo}}: known are .ID",
		value(`{{if eq .Listener "other"}}{{$.Hlo}}{{end}}`):       "there is no {{.Hlo}}",
		value(`{{range .Rcpts}}{{else}}{{len .Hlo}}{{end}}`):       "there is no {{.Hlo}}",
		value(`{{with .Helo}}{{.Upper}}{{else}}{{(.Hlo)}}{{end}}`): "there is no {{.Hlo}}",
		value("{{range .Rcpts}}{{.Local}}{{end}}"):                 "line 1:",
		value("{{.Helo.Name}}"):                                    "line 1:",
		value("{{upper .Helo}}"):                                   `line 1: function "upper" not defined`,
		value("{{header}}"):                                        "wrong number of args",
		value("{{index .Rcpts 1}}"):                                "index out of range",
		value(`{{slice (header "Subject") 0 5}}`):                  "out of range",
		value("{{range 1000000000000}}{{end}}"):                    "range over 1000000000000: want one of .Rcpts, .Findings",
		value("{{range .Size}}{{end}}"):                            "range over .Size",
		value(`{{define "a"}}{{template "a"}}{{end}}x`):            "not understood",
		value(`{{template "a"}}`):                                  "not understood",
	} {
		_, err := filtertest.Build(env, headers.Kind, options)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", options, err, want)
		}
	}
}

// TestProblems holds errors to show the option and its place in the file.
func TestProblems(t *testing.T) {
	const file = `listeners:
  - {name: mx, address: ":25", upstream: {address: "127.0.0.1:10025"}}
chain:
  - headers:
      remove: ["*"]
      add:
        - {name: X-Client, value: "{{.Klient}}"}
        - {name: "X Id", value: "{{.ID}"}
        - name: X-Host
`
	_, err := configs.Parse([]filters.Kind{headers.Kind}, "f.yaml", []byte(file))
	const want = `f.yaml:5:16: remove: "*" would take out every field
          remove: ["*"]
                   ^
f.yaml:7:35: value: there is no {{.Klient}}: known are .ID .Listener .Hostname .Client .Helo .From .Rcpts .Size .Date .Findings
            - {name: X-Client, value: "{{.Klient}}"}
                                      ^
f.yaml:8:18: name: "X Id" is no field name: write printable ASCII without spaces, such as X-Client
            - {name: "X Id", value: "{{.ID}"}
                     ^
f.yaml:8:33: value: line 1: bad character U+007D '}'
            - {name: "X Id", value: "{{.ID}"}
                                    ^
f.yaml:9:11: value is missing
            - name: X-Host
              ^ text with actions such as {{.Client}}`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

var (
	word   = filters.NewFact[string]("test.word", "a word")
	number = filters.NewFact[float64]("test.number", "a number")
	words  = filters.NewFact[[]string]("test.words", "some words")
	cause  = filters.NewFact[error]("test.cause", "a cause")
)

func TestValues(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"plain text", "plain text"},
		{"{{.ID}} {{.Listener}} {{.Hostname}}", "s1.2 mx mx.example.org"},
		{"{{.Client}} {{.Helo}} {{.From}} {{.Size}}", "192.0.2.1 mail.example.com alice@example.com 1234"},
		{"{{.Rcpts}} {{len .Rcpts}}", "bob@example.org, carol@example.org 2"},
		{"{{range $i, $r := .Rcpts}}{{if $i}};{{end}}{{$r}}{{end}}", "bob@example.org;carol@example.org"},
		{"{{.Date}}", "Sun, 01 Mar 2026 12:00:00 +0000"},
		{"{{.Findings}}", "helo:odd(ignored), rcpt:no(reject)"},
		{`{{header "subject"}}!`, "one two!"},
		{`{{header "received"}}{{header "nothing"}}`, "from a by b"},
		{`{{fact "test.word"}} {{fact "test.number"}} {{fact "test.words"}}`, "of the session 2.5 a, b"},
		{`{{fact "test.cause"}}{{fact "test.unset"}}|`, "|"},
		{"a\n  b\t\tc\r\n", "a b c"},
		{"  a {{\"\\x00\\x1b\\x7f\\u0085\"}} b\rc {{\"\\r\\nBcc: x\"}} ", "a ???? b?c Bcc: x"},
		{"{{\"\\xff\\xfe\"}}", "?"},
		{"Grüße von {{.Helo}}", "=?utf-8?b?R3LDvMOfZQ==?= von mail.example.com"},
		{"Jürgen Ämter <a@b> ü", "=?utf-8?b?SsO8cmdlbiDDhG10ZXI=?= <a@b> =?utf-8?b?w7w=?="},
	} {
		options := fmt.Sprintf("add: [{name: X, value: %q}]", c.value)
		tx := message(section)
		word.Set(tx.Session, "of the session")
		number.Set(tx.Session, 1)
		number.Set(tx, 2.5)
		words.Set(tx, []string{"a", "b"})
		cause.Set(tx, nil)
		tx.Note(filters.Noted{Filter: "helo", Stage: filters.Helo, Reason: "odd", Action: filters.Reject, Ignored: true})
		tx.Note(filters.Noted{Filter: "rcpt", Stage: filters.Rcpt, Reason: "no", Action: filters.Reject})
		if got := edits(newFilter(t, options), tx); got != "add X: "+c.want {
			t.Errorf("%s: %q, want %q", c.value, got, c.want)
		}
	}
}

func TestValueOfLittle(t *testing.T) {
	tx := message("")
	tx.From, tx.Session.Client, tx.Session.Helo = filtertest.Path(""), netip.AddrPort{}, ""
	got := edits(newFilter(t, `{add: [{name: X, value: "<{{.From}}> {{.Client}} {{.Helo}}."}], trace: true}`), tx)
	want := "insert 0 X-Mailweir: id=s1.2; host=mx.example.org; listener=mx; client=unknown;\r\n helo=unknown; findings=none\nadd X: <> unknown ."
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSMTPUTF8(t *testing.T) {
	tx := message("")
	tx.From.Params = "SIZE=5 SMTPUTF8"
	if got := edits(newFilter(t, "add: [{name: X, value: Grüße}]"), tx); got != "add X: Grüße" {
		t.Error(got)
	}
}

func TestFold(t *testing.T) {
	const ten = "123456789 "
	for _, c := range []struct{ value, want string }{
		{strings.Repeat(ten, 7) + "12345", strings.Repeat(ten, 7) + "12345"}, // 78 columns with "X: "
		{strings.Repeat(ten, 7) + "123456", strings.TrimSpace(strings.Repeat(ten, 7)) + "\r\n 123456"},
		{strings.Repeat(ten, 16) + "1", strings.TrimSpace(strings.Repeat(ten, 7)) + "\r\n " + strings.TrimSpace(strings.Repeat(ten, 7)) +
			"\r\n " + ten + ten + "1"},
		{strings.Repeat("a", 100) + " b", strings.Repeat("a", 100) + "\r\n b"},
		{strings.Repeat("a", 901), strings.Repeat("a", 900) + "\r\n a"},
	} {
		got := edits(newFilter(t, fmt.Sprintf("add: [{name: X, value: %q}]", c.value)), message(""))
		if got != "add X: "+c.want {
			t.Errorf("%q\n%q", got, c.want)
		}
	}
}

// TestHostileValues holds what a client can bring in to stay within the field.
func TestHostileValues(t *testing.T) {
	f := newFilter(t, `add: [{name: X, value: '{{header "Subject"}} {{.Helo}}'}]`)
	for _, hostile := range []string{
		strings.Repeat("x", 20000), strings.Repeat("x ", 10000), strings.Repeat("ä", 10000), strings.Repeat(" \r\n \t", 5000),
		strings.Repeat("ä ", 5000), "a\r\n\r\nb", "a\nBcc: x", "a\x00b", "\xc3", strings.Repeat("\xf0\x9f", 9000),
	} {
		for _, params := range []string{"", "SMTPUTF8"} {
			tx := message("")
			tx.Header = filters.Header{{Name: "Subject", Value: hostile}}
			tx.Session.Helo, tx.From.Params = hostile, params
			if v := f.Message(context.Background(), tx); v != (filters.Verdict{}) {
				t.Fatalf("%.20q: %s", hostile, filtertest.Show(v))
			}
			for _, e := range tx.Edits() {
				checkLines(t, e.(filters.AddField).Value)
			}
		}
	}
}

func checkLines(t *testing.T, value string) {
	t.Helper()
	if len(value) > 4*8192 {
		t.Errorf("%d octets", len(value))
	}
	for i, line := range strings.Split(value, "\r\n") {
		if len(line) > 990 || i > 0 && (line[0] != ' ' || strings.TrimSpace(line) == "") || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line %d of %d octets: %.80q", i, len(line), line)
		}
	}
}

func TestTrace(t *testing.T) {
	tx := message(section)
	tx.Session.Client = netip.MustParseAddrPort("[2001:db8::1]:1025")
	tx.Session.Helo = "a; findings=none\r\n \xffä" + strings.Repeat("x", 100)
	for _, n := range []filters.Noted{
		{Filter: "helo", Stage: filters.Helo, Reason: "helo_not_fqdn", Action: filters.Reject, Ignored: true},
		{Filter: "rcpt inbound", Stage: filters.Rcpt, Reason: "relay_denied", Action: filters.Reject},
		{Filter: "scan", Stage: filters.EOM, Reason: "error", Action: filters.Continue},
	} {
		tx.Note(n)
	}
	got := edits(newFilter(t, "{trace: true, trace_name: X-Seen}"), tx)
	want := "insert 0 X-Seen: id=s1.2; host=mx.example.org; listener=mx; client=2001:db8::1;\r\n" +
		" helo=a??findings?none?????" + strings.Repeat("x", 43) + ";\r\n" +
		" findings=helo:helo_not_fqdn(ignored) rcpt?inbound:relay_denied(reject)\r\n" +
		" scan:error(continue)"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for line := range strings.SplitSeq(strings.TrimPrefix(got, "insert 0 "), "\r\n") {
		if len(line) > 78 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

// A value that cannot be made fails the filter, and nothing is edited.
func TestFailures(t *testing.T) {
	f := newFilter(t, `add: [{name: X-A, value: a}, {name: X-B, value: '{{fact "test.word"}}'}]`)
	tx := message("")
	word.Go(tx, func(context.Context) (string, error) { return "", errors.New("no answer") })
	if got := edits(f, tx); !strings.HasPrefix(got, "error X-B: line 1:") || !strings.HasSuffix(got, "no answer") || len(tx.Edits()) > 0 {
		t.Errorf("%s; edits: %s", got, show(tx.Edits()))
	}
	tx.End()

	f = newFilter(t, `add: [{name: X-B, value: '{{if .From}}{{slice .From 0 100}}{{end}}'}]`)
	if got := edits(f, message("")); !strings.HasPrefix(got, "error X-B: line 1:14: at <") {
		t.Error(got)
	}

	tx = message("")
	tx.Allow(0)
	if got := edits(f, tx); !strings.HasPrefix(got, "error ") {
		t.Errorf("without the need: %s", got)
	}
}

func TestFactIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tx := message("")
		tx.Begin(t.Context())
		word.Go(tx, func(context.Context) (string, error) { time.Sleep(time.Second); return "late", nil })
		f := newFilter(t, `add: [{name: X, value: '{{fact "test.word"}}'}]`)
		if got := edits(f, tx); got != "add X: late" {
			t.Error(got)
		}
		tx.End()
	})
}

func TestOneFilterServesAll(t *testing.T) {
	f := newFilter(t, `{trace: true, add: [{name: X, value: '{{header "Subject"}} {{fact "test.word"}}'}]}`)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				tx := message(fmt.Sprintf("Subject: %d\r\n", i))
				word.Set(tx, fmt.Sprint(i))
				if got, want := edits(f, tx), fmt.Sprintf("add X: %d %d", i, i); !strings.HasSuffix(got, want) {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
	all.Wait()
}

// run starts a session whose chain has an observed stub and the filter.
func run(t *testing.T, options string, more func(*chain.Spec)) (*chain.Run, *filtertest.Log) {
	t.Helper()
	env, log := filtertest.Env("")
	odd := filters.Kind{Name: "odd", New: func(filters.Env, any) (filters.Filter, error) { return oddities{}, nil }}
	conf := filtertest.Conf(t, headers.Kind, options)
	spec := chain.Spec{Kind: headers.Kind, Conf: conf}
	more(&spec)
	c, err := chain.Build(env, []chain.Spec{{Kind: odd, Action: chain.Ignore}, spec}, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	s := filtertest.Session("192.0.2.1")
	r := c.Start(context.Background(), s)
	r.Connect()
	r.Helo("mail.example.com", true)
	return r, log
}

// oddities finds something at HELO, and with the sender odd@example.com.
type oddities struct{}

func (oddities) Helo(context.Context, *filters.Session) filters.Verdict {
	return filters.Refuse("greeting", 550, [3]uint16{5, 7, 1}, "odd")
}

func (oddities) Mail(_ context.Context, t *filters.Transaction) filters.Verdict {
	if t.From.Local == "odd" {
		return filters.Refuse("sender", 550, [3]uint16{5, 7, 1}, "odd")
	}
	return filters.Verdict{}
}

// send passes one message to the chain and returns the edits to make.
func send(t *testing.T, r *chain.Run, from, section string) string {
	t.Helper()
	r.Mail(filtertest.Path(from), 0)
	r.Rcpt(filtertest.Path("bob@example.org"))
	r.Data()
	r.BeginBody()
	r.Body([]byte(section))
	r.Header(filters.ParseHeader(section))
	d := r.Message()
	if d.Action != filters.Continue {
		return d.Reply.String()
	}
	got := show(r.Transaction().Edits())
	r.Done(chain.Result{Reply: filters.Reply{Code: 250}})
	return got
}

func TestTwoTransactions(t *testing.T) {
	r, _ := run(t, `{trace: true, remove: [X-A], add: [{name: X-A, value: '{{header "Subject"}}{{.From}}'}]}`, func(*chain.Spec) {})
	const head = "insert 0 X-Mailweir: id=s1.%d; host=mx.example.org; listener=mx; client=192.0.2.1;\r\n helo=mail.example.com; findings=odd:greeting(ignored)"
	for i, c := range []struct{ from, section, want string }{
		{"odd@example.com", "X-A: 1\r\nX-A: 2\r\nSubject: s\r\n", "remove X-A 2\nremove X-A 1\n" + head + " odd:sender(ignored)\nadd X-A: sodd@example.com"},
		{"", "", head},
		{"a@example.com", "X-A: 1\r\n", "remove X-A 1\n" + head + "\nadd X-A: a@example.com"},
	} {
		if got, want := send(t, r, c.from, c.section), fmt.Sprintf(c.want, i+1); got != want {
			t.Errorf("%d:\n%s\nwant\n%s", i+1, got, want)
		}
	}
	r.Close()
}

func TestIgnored(t *testing.T) {
	r, log := run(t, "trace: true", func(s *chain.Spec) { s.Action = chain.Ignore })
	if _, needs := r.Wants(); needs != 0 {
		t.Errorf("needs %v", needs)
	}
	if got := send(t, r, "a@example.com", ""); got != "" {
		t.Errorf("edits: %s", got)
	}
	if got := log.Take(); !strings.Contains(got, `msg="would have edited"`) {
		t.Error(got)
	}
	r.Close()
}

func TestFailureIsSettled(t *testing.T) {
	for on, want := range map[chain.OnError]string{chain.ErrorTempFail: "451 4.3.0", chain.ErrorReject: "550 5.3.0", chain.ErrorContinue: ""} {
		r, log := run(t, `add: [{name: X-A, value: a}, {name: X-B, value: '{{if .From}}{{slice .From 0 100}}{{end}}'}]`,
			func(s *chain.Spec) { s.OnError = on })
		if got := send(t, r, "a@example.com", ""); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%v: %s, want %s", on, got, want)
		}
		if got := log.Take(); !strings.Contains(got, `msg="filter failed"`) {
			t.Errorf("%v: %s", on, got)
		}
		r.Close()
	}
}

func BenchmarkMessage(b *testing.B) {
	f := newFilter(b, `{trace: true, remove: [X-Spam-*], add: [{name: X, value: '{{header "Subject"}} {{.Client}}'}]}`)
	tx := message(section)
	b.ReportAllocs()
	for b.Loop() {
		f.Message(context.Background(), tx)
		tx.KeepEdits(0)
	}
}
