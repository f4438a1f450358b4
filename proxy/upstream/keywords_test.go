package upstream

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

func TestKeywords(t *testing.T) {
	for _, c := range []struct {
		wire    string
		names   []string
		found   bool
		clients []string
	}{
		{"250 mx.example\r\n", nil, false, nil},
		{"250-mx.example XCLIENT ADDR\r\n250 SIZE 10\r\n", []string{"SIZE 10"}, false, nil},
		{"250-mx.example\r\n250-\r\n250\r\n250 XCLIENT\r\n", []string{"XCLIENT"}, true, nil},
		{"250-mx.example\r\n250-XCLIENTELE ADDR\r\n250 xclient  addr PORT ADDR  NEW \r\n", []string{"XCLIENTELE ADDR", "xclient  addr PORT ADDR  NEW"}, true, []string{"ADDR", "PORT"}},
		{"250-mx.example\r\n250-XCLIENT NAME\r\n250 XCLIENT ADDR\r\n", []string{"XCLIENT NAME", "XCLIENT ADDR"}, true, []string{"NAME"}},
	} {
		k := keywordsOf([]byte(c.wire))
		if diff := cmp.Diff(c.names, k.names()); diff != "" {
			t.Errorf("%q: %s", c.wire, diff)
		}
		list, ok := k.announced("XCLIENT", xclientAttrs)
		if diff := cmp.Diff(c.clients, list); diff != "" || ok != c.found {
			t.Errorf("%q: found %v, %s", c.wire, ok, diff)
		}
	}
}

func TestLearn(t *testing.T) {
	var l learned
	if l.Keywords() != nil {
		t.Error("known before any")
	}
	wire := []byte("250 mx.example\r\n")
	l.Learn(wire)
	first := l.Keywords()
	l.Learn([]byte("250 mx.example\r\n"))
	if again := l.Keywords(); &again[0] != &first[0] {
		t.Error("a reply that stays the same is kept anew")
	}
	copy(wire, "599")
	if got := string(l.Keywords()); got != "250 mx.example\r\n" {
		t.Errorf("%q", got)
	}
}

// FuzzKeywords holds that nothing but known attributes comes out of a reply,
// and that what is said because of it is one short line of a command each.
func FuzzKeywords(f *testing.F) {
	f.Add("250-mx.example\r\n250-XCLIENT NAME ADDR\r\n250 XFORWARD ADDR HELO\r\n", "client.example", "joe")
	f.Add("250-mx\r\n250-XCLIENT\tADDR\r\n250 xforward =\x00\r\n", "a b\r\nRSET", "+=é")
	f.Fuzz(func(t *testing.T, wire, helo, user string) {
		r, err := smtp.NewReplyReader(strings.NewReader(wire)).ReadReply()
		if err != nil {
			if err == io.EOF && wire != "" {
				t.Error("an end amid a reply")
			}
			return
		}
		k := keywordsOf(r.Wire)
		for _, name := range k.names() {
			if strings.ContainsAny(name, "\r\n\x00") {
				t.Errorf("keyword %q", name)
			}
		}
		s := &filters.Session{ID: user, Helo: helo, AuthUser: user, ClientName: helo}
		g := &Group{fleet: &Fleet{}}
		for verb, known := range map[string][]string{"XCLIENT": xclientAttrs, "XFORWARD": xforwardAttrs} {
			list, _ := k.announced(verb, known)
			for i, name := range list {
				if !slices.Contains(known, name) || slices.Contains(list[:i], name) {
					t.Errorf("%s has %q", verb, name)
				}
			}
			lines, err := smtp.SplitAttrs(verb, attributes(s, g.namesOf(t.Context(), s, list), list), maxCommand)
			if err != nil {
				t.Error(err)
			}
			for _, line := range lines {
				if len(line) > maxCommand-2 || !strings.HasPrefix(line, verb+" ") || bytes.ContainsAny([]byte(line), "\r\n\x00") {
					t.Errorf("%q", line)
				}
			}
		}
	})
}
