package proxy_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// wholeHeader has all fields that Sendmail would add.
const wholeHeader = "Date: Sat, 1 Nov 2025 12:00:00 +0000\r\n" +
	"From: a@test.example\r\n" +
	"To: b@test.example\r\n" +
	"Message-ID: <1@test.example>\r\n" +
	"X-A: one\r\n" +
	"X-B: two\r\n" +
	"X-A: three\r\n" +
	"X-C: four\r\n" +
	"Subject: a test\r\n"

// fieldsOf returns the field names of an arrived message from Received on the
// top to the last, and the value of each of its X fields by "name number".
func fieldsOf(t *testing.T, m peer.Message) (names string, values map[string]string) {
	t.Helper()
	header, _, _ := strings.Cut(string(m.Data), "\r\n\r\n")
	values = map[string]string{}
	var list []string
	for _, field := range strings.Split(regexp.MustCompile(`\r\n[ \t]+`).ReplaceAllString(header, " "), "\r\n") {
		name, value, ok := strings.Cut(field, ": ")
		if !ok {
			t.Fatalf("no field with a space behind its colon: %q", field)
		}
		list = append(list, name)
		key := name
		for n := '2'; values[key] != ""; n++ {
			key = name + " " + string(n)
		}
		values[key] = value
	}
	return strings.Join(list, " "), values
}

// What the headers filter wants of a message arrives behind the MTA.
func testMilterFields(t *testing.T, binary peer.Mailweir, kind mtaKind) {
	w := newWeir(t, binary, kind, peer.MilterOptions{Unix: true, Chain: `[
  helo: {exempt: []},
  headers: {
    remove: [X-A],
    replace: [{name: X-B, value: "B of {{.From}}"}, {name: X-New, value: "new"}],
    insert: [{name: X-Top, value: "top"}],
    add: [{name: X-End, value: "for {{.Rcpts}}"}],
    trace: true,
  },
]`})
	c := peer.Dial(t, w.mta.Address())
	c.Hello()
	sendText(c, "a@test.example", wholeHeader+"\r\nbody\r\n", "250")
	c.Quit()
	arrived := w.arrived(t)
	if len(arrived) != 1 {
		t.Fatalf("%d messages arrived", len(arrived))
	}
	names, values := fieldsOf(t, arrived[0])
	want := "X-Mailweir Received X-Top Date From To Message-ID X-B X-C Subject X-New X-End"
	if names != want {
		t.Errorf("the fields are\n%s, want\n%s", names, want)
	}
	for name, value := range map[string]string{
		"X-B": "B of a@test.example", "X-New": "new", "X-Top": "top", "X-End": "for to@test.example",
	} {
		if values[name] != value {
			t.Errorf("%s: %q, want %q", name, values[name], value)
		}
	}
	for _, item := range []string{"id=", "listener=mta", "client=127.0.0.1", "helo=client.test.example", "findings=none"} {
		if !strings.Contains(values["X-Mailweir"], item) {
			t.Errorf("the trace %q lacks %q", values["X-Mailweir"], item)
		}
	}
	if _, body, _ := strings.Cut(string(arrived[0].Data), "\r\n\r\n"); body != "body\r\n" {
		t.Errorf("the body is %q", body)
	}
}
