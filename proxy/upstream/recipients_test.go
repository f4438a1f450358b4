package upstream_test

import (
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// guesses are remembered recipients with a clock of their own.
type guesses struct {
	*upstream.Recipients
	at time.Time
}

func newGuesses(entries int) *guesses {
	g := &guesses{at: time.Unix(1e9, 0)}
	o := upstream.RecipientOptions{TTL: 72 * time.Hour, Refresh: 3 * time.Hour, Entries: entries}
	g.Recipients = upstream.NewRecipients(o, func() time.Time { return g.at })
	return g
}

// said is a reply as the wire gives it: the enhanced code is in the text.
func said(code uint16, text string) filters.Reply { return filters.Reply{Code: code, Text: text} }

var noSuch = said(550, "5.1.1 <tim@example.org>: no such user")

// known wants to be told of a refusal of the address, or if there is no code,
// to ask.
func (g *guesses) known(t *testing.T, address string, want filters.Reply) {
	t.Helper()
	if got, ok := g.Refused(address); got != want || ok != (want.Code != 0) {
		t.Errorf("%s is remembered as %q (%t), want %q", address, got, ok, want)
	}
}

var ask filters.Reply

func TestRefusedRecipients(t *testing.T) {
	g := newGuesses(10)
	g.known(t, "tim@example.org", ask)
	g.known(t, "tim@example.org", ask)
	g.Note("tim@example.org", noSuch)
	g.known(t, "tim@example.org", noSuch)
	g.known(t, "tim@EXAMPLE.Org", noSuch)
	g.known(t, "Tim@example.org", ask)
	g.known(t, "tom@example.org", ask)
	g.known(t, "tim@example.net", ask)
	g.known(t, "tim", ask)
	g.Note(`"A@B"@EXAMPLE.ORG`, noSuch)
	g.known(t, `"A@B"@example.org`, noSuch)
	g.known(t, `"A@b"@example.org`, ask)
	g.Note("Nobody", noSuch)
	g.known(t, "Nobody", noSuch)
	g.known(t, "nobody", ask)
	g.Note("tim@Example.ORG", said(250, "2.1.5 Ok"))
	g.known(t, "tim@example.org", ask)
	g.known(t, "Nobody", noSuch)
}

// A nil memory can be asked.
func TestNoRecipients(t *testing.T) {
	var r *upstream.Recipients
	r.Note("tim@example.org", noSuch)
	if _, ok := r.Refused("tim@example.org"); ok {
		t.Error("it remembers")
	}
}

// After three hours one asks anew, for all; after three days all do.
func TestRecipientsAreAskedAnew(t *testing.T) {
	const tim = "tim@example.org"
	g := newGuesses(10)
	g.Note(tim, noSuch)
	g.at = g.at.Add(3*time.Hour - 1)
	g.known(t, tim, noSuch)
	g.at = g.at.Add(1)
	g.known(t, tim, ask)
	g.known(t, tim, noSuch)
	g.at = g.at.Add(time.Minute - 1) // who asks does not come back
	g.known(t, tim, noSuch)
	g.at = g.at.Add(1)
	g.known(t, tim, ask)
	g.known(t, tim, noSuch)
	g.Note(tim, said(451, "4.3.0 try again later")) // and this one has learnt nothing
	g.known(t, tim, noSuch)
	g.at = g.at.Add(time.Minute)
	g.known(t, tim, ask)
	gone := said(550, "5.1.6 gone")
	g.Note(tim, gone)
	g.at = g.at.Add(3*time.Hour - 1)
	g.known(t, tim, gone)
	g.at = g.at.Add(69*time.Hour + 1)
	g.known(t, tim, ask)
	g.known(t, tim, ask)
}

func TestRecipientsAreAskedAnewOnce(t *testing.T) {
	g := newGuesses(10)
	g.Note("tim@example.org", noSuch)
	g.at = g.at.Add(3 * time.Hour)
	var asked atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, ok := g.Refused("tim@example.org"); !ok {
				asked.Add(1)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d of 16 ask at once", n)
	}
}

// repliesAbout says what becomes of an address after a reply of the upstream.
var repliesAbout = map[string]string{
	"550 5.1.1 no such user":           "remember",
	"550 5.1.1":                        "remember",
	"550 5.1.1\nno such user":          "remember",
	"550 5.1.1 no such\n5.1.1 user":    "remember",
	"501 5.1.3 bad syntax":             "remember",
	"551 5.1.6 moved":                  "remember",
	"550 5.1.10 RecipientNotFound":     "remember",
	"556 5.1.10 null MX":               "remember",
	"250 2.1.5 Ok":                     "forget",
	"250 Ok":                           "forget",
	"251 2.1.5 will forward":           "forget",
	"252 cannot verify":                "forget",
	"452 4.2.2 mailbox full":           "forget",
	"552 5.2.2 mailbox full":           "forget",
	"550 5.2.1 closed":                 "forget",
	"450 4.2.0 greylisted":             "nothing",
	"550 5.2.0 refused":                "nothing",
	"550 no such user":                 "nothing",
	"550 ":                             "nothing",
	"550 5.7.1 relaying denied":        "nothing",
	"554 5.7.1 client blocked":         "nothing",
	"550 5.1.0 address refused":        "nothing",
	"550 5.1.2 domain not found":       "nothing",
	"550 5.1.4 ambiguous":              "nothing",
	"550 5.1.5 valid":                  "nothing",
	"550 5.1.7 bad sender":             "nothing",
	"550 5.1.8 sender's domain":        "nothing",
	"550 5.1.11 new":                   "nothing",
	"550 5.3.1 system full":            "nothing",
	"503 5.5.1 MAIL first":             "nothing",
	"450 4.1.1 unverified":             "nothing",
	"450 5.1.1 classes differ":         "nothing",
	"550 4.1.1 classes differ":         "nothing",
	"550 2.1.1 classes differ":         "nothing",
	"550 <5.1.1> no":                   "nothing",
	"550 5.1.1, no":                    "nothing",
	"550 5.1.1.1 no":                   "nothing",
	"550 5.1. no":                      "nothing",
	"550 5.1 no":                       "nothing",
	"550 05.1.1 no":                    "nothing",
	"550 5.01.1 no":                    "nothing",
	"550 5.+1.1 no":                    "nothing",
	"550 5.1.65537 no":                 "nothing",
	"550  5.1.1 no":                    "nothing",
	"550 no\n5.1.1 no":                 "nothing",
	"421 4.3.2 shutting down":          "nothing",
	"550 5.7.1 no\n5.1.1 no such user": "nothing",
}

// Each reply is noted for an address that is known as refused, and for one that
// is not.
func TestRepliesAboutRecipients(t *testing.T) {
	for text, want := range repliesAbout {
		reply := said(uint16(text[0]-'0')*100+uint16(text[1]-'0')*10+uint16(text[2]-'0'), text[4:])
		g := newGuesses(10)
		g.Note("new@example.org", reply)
		g.Note("old@example.org", noSuch)
		g.Note("old@example.org", reply)
		wantNew, wantOld := ask, noSuch
		switch want {
		case "remember":
			wantNew, wantOld = reply, reply
		case "forget":
			wantOld = ask
		}
		t.Run(text, func(t *testing.T) {
			g.known(t, "new@example.org", wantNew)
			g.known(t, "old@example.org", wantOld)
		})
	}
}

// An enhanced code of its own goes before the text.
func TestRepliesWithCode(t *testing.T) {
	g := newGuesses(10)
	own := filters.Reply{Code: 550, Enh: [3]uint16{5, 1, 1}, Text: "5.7.1 no such user"}
	g.Note("tim@example.org", own)
	g.known(t, "tim@example.org", own)
	g.Note("tom@example.org", filters.Reply{Code: 550, Enh: [3]uint16{5, 7, 1}, Text: "5.1.1 no"})
	g.known(t, "tom@example.org", ask)
}

func TestRecipientsAreBounded(t *testing.T) {
	g := newGuesses(2)
	for _, a := range []string{"a@example.org", "b@example.org", "c@example.org"} {
		g.Note(a, noSuch)
		g.Refused("a@example.org")
	}
	g.known(t, "a@example.org", noSuch)
	g.known(t, "b@example.org", ask)
	g.known(t, "c@example.org", noSuch)

	longest := strings.Repeat("x", 256-len("@example.org")) + "@example.org"
	g.Note(longest, noSuch)
	g.known(t, longest, noSuch)
	g.Note("x"+longest, noSuch)
	g.known(t, "x"+longest, ask)

	g = newGuesses(0)
	g.Note("tim@example.org", noSuch)
	g.known(t, "tim@example.org", noSuch)
}

// A long reply is cut, though not within a character.
func TestRepliesAreBounded(t *testing.T) {
	for _, c := range []struct {
		x    int
		end  string
		want int
	}{{1018, "", 1024}, {1019, "", 1024}, {60000, "", 1024}, {1017, "\nmore", 1023}, {1017, "üü", 1023}, {1015, "😀", 1021}, {1014, "😀", 1024}} {
		text := "5.1.1 " + strings.Repeat("x", c.x) + c.end
		g := newGuesses(10)
		g.Note("tim@example.org", said(550, text))
		if got, ok := g.Refused("tim@example.org"); !ok || got.Text != text[:c.want] {
			t.Errorf("%d and %q: %d octets are remembered, want %d", c.x, c.end, len(got.Text), c.want)
		}
	}
}

// Asking costs no memory.
func TestRefusedDoesNotAllocate(t *testing.T) {
	g := newGuesses(10)
	g.Note("tim@example.org", noSuch)
	if n := testing.AllocsPerRun(100, func() { g.Refused("tim@example.org"); g.Refused("tom@example.org") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var lasting = regexp.MustCompile(`^5\.1\.(1|3|6|10)([ \t\n]|$)`)

// FuzzRecipients notes any reply for any address.
func FuzzRecipients(f *testing.F) {
	f.Add("tim@example.org", uint16(550), "5.1.1 no such user")
	f.Add("TIM@EXAMPLE.ORG", uint16(450), "4.2.1 no\n4.2.1 not now")
	f.Add(`"@"@[IPv6:FE80::1]`, uint16(556), "5.1.10")
	f.Fuzz(func(t *testing.T, address string, code uint16, text string) {
		g := newGuesses(10)
		g.Note(address, said(code, text))
		got, ok := g.Refused(address)
		if want := code/100 == 5 && lasting.MatchString(text) && len(address) <= 256; ok != want {
			t.Fatalf("%d %q: remembered is %t", code, text, ok)
		}
		if !ok {
			return
		}
		if got.Code != code || len(got.Text) > 1024 || !strings.HasPrefix(text, got.Text) || utf8.ValidString(text) && !utf8.ValidString(got.Text) {
			t.Fatalf("%d %q is remembered as %d %q", code, text, got.Code, got.Text)
		}
		g.Note(address, said(250, "Ok"))
		g.known(t, address, ask)
	})
}
