package rules_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/rules"
)

// patience is far more than anything may take, under the race detector too.
const patience = 5 * time.Second

// playAll asks a policy at all stages about a session with something of
// everything.
func playAll(t *testing.T, p *rules.Policy) {
	t.Helper()
	test := rules.Test{}
	test.SetDefaults()
	test.From = "Sender@sub.example.net SIZE=20000 SMTPUTF8"
	test.To = []string{"user@example.com", "Other@b.example", "postmaster"}
	test.Facts = map[string]any{"dnsbl.score": int64(3), "dnsbl.zones": []any{"a", "b"}, "a.fact": "text", "b.fact": true}
	test.Message = "Subject: =?utf-8?q?x?=\nReceived: a\nReceived: b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: application/zip; name=a.zip\n\nPK\n--b--\n"
	began := time.Now()
	if _, err := p.Play(context.Background(), &test, "."); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
}

// FuzzFile holds any file to be a policy, or to have problems with a place.
func FuzzFile(f *testing.F) {
	for _, glob := range []string{"testdata/right/*.yaml", "testdata/wrong/*.yaml"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		p, err := rules.Parse(rules.Options{}, "fuzz.yaml", "testdata/right", data)
		if took := time.Since(began); took > patience {
			t.Errorf("it took %v to compile", took)
		}
		if err == nil && !waits(p) {
			playAll(t, p)
		}
	})
}

// waits reports whether a rule of the policy lets clients wait.
func waits(p *rules.Policy) bool {
	for _, r := range p.Coverage() {
		if r.Delay > 0 {
			return true
		}
	}
	return false
}

// FuzzWhen holds any expression to end.
func FuzzWhen(f *testing.F) {
	for _, seed := range []string{
		`facts["dnsbl.score"] > 2 && size > 10_000`,
		`any(header.Received, # contains "a") or len(to) > 1`,
		`listed(from.domain, "freemail") ? tls : not esmtp`,
		`from.param.SIZE == "7" and helo matches "^a+$"`,
		`"x" in findings || score in [1, 2, 3]`,
		`let x = 1; x > 2`, `(((((((((1)))))))))`, `{"a": 1}.a == 1`, `#`, `header[header.A]`,
		`to[0] == from`, `to[1:2] == []`, `-9223372036854775808 / -1 == 0 || size % recipients > 0`,
		`count(body, # > 1) > 1`, `float("x") > 1`, `from?.domain == nil`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, when string, late bool) {
		quoted, err := json.Marshal(when)
		if err != nil {
			t.Fatal(err)
		}
		data := "lists:\n  freemail: { domains: [.example.net] }\nrules:\n  - { name: r, then: reject, when: " + string(quoted)
		if late {
			data += ", at: eom"
		}
		p, err := rules.Parse(rules.Options{}, "fuzz.yaml", ".", []byte(data+" }\n"))
		if err == nil {
			playAll(t, p)
		}
	})
}

// FuzzPattern holds any pattern to end.
func FuzzPattern(f *testing.F) {
	f.Add(`(a+)+$`, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")
	f.Add(`^(?i)x{1,900}y`, "xxxxxxxxxxxxxxxxxxxxxxxx")
	f.Add(`[[:^word:]]\pL{99}`, "ÄÖÜ")
	f.Add(`(abcdefghij){100}`, "abcdefghij")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		quoted, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		p, err := rules.Parse(rules.Options{}, "fuzz.yaml", ".", []byte("rules:\n  - { name: r, match: { helo: { matches: "+string(quoted)+" } }, then: { reject: \"{helo}\" } }\n"))
		if err == nil {
			s := filtertest.Session("192.0.2.1")
			s.Helo = text
			v := p.Helo(context.Background(), s)
			if v.Finding != nil && !printable(v.Finding.Reply.Text) {
				t.Errorf("reply %q", v.Finding.Reply.Text)
			}
		}
		if took := time.Since(began); took > patience {
			t.Errorf("it took %v", took)
		}
	})
}

func printable(s string) bool {
	for _, c := range s {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// FuzzContent holds the reading of a message to be the same whatever the pieces
// in which it comes.
func FuzzContent(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/zip; name=a.zip\r\n\r\nPK\r\n--b--\r\n"), uint8(3))
	f.Add([]byte("Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny"), uint8(1))
	f.Add([]byte("Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n=\r\n"), uint8(7))
	f.Add([]byte("Content-Type: multipart/x; boundary=\"\"\n\n--\n----\n"), uint8(2))
	f.Fuzz(func(t *testing.T, message []byte, size uint8) {
		p := parse(t, []byte("rules:\n  - { name: r, match: { size: { above: 0 } }, then: { add_header: { name: X, value: \"{attachment.name}|{attachment.type}|{body}\" } }, at: eom }\n"))
		whole := read(t, p, message, len(message)+1)
		pieces := read(t, p, message, int(size)+1)
		if whole != pieces {
			t.Errorf("in one piece %q, in several %q", whole, pieces)
		}
	})
}

// read returns what a policy says of a message that comes in pieces.
func read(t *testing.T, p *rules.Policy, message []byte, size int) string {
	t.Helper()
	tx := begin(t, "a@example.net")
	tx.Size = int64(len(message)) + 1
	tx.Allow(filters.Edits)
	sink := p.Body(context.Background(), tx)
	for len(message) > 0 {
		n := min(size, len(message))
		if _, err := sink.Write(message[:n]); err != nil {
			break
		}
		message = message[n:]
	}
	v := p.Message(context.Background(), tx)
	if v.Finding != nil {
		return v.Finding.Err.Error()
	}
	return tx.Edits()[0].(filters.AddField).Value
}
