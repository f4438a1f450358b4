package relay_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/relay"
)

// route gives the play a second upstream, for z.example.
func (p *play) route() {
	p.options.Routes = []relay.Route{{Domains: []string{".z.example"}, Upstream: behind(p.fleet, "192.0.2.26:25", maxConnections)}}
}

// TestRoutedModel is TestModel with recipients of two upstreams.
func TestRoutedModel(t *testing.T) {
	acknowledged := 0
	for seed := range uint64(700) {
		random := rand.New(rand.NewPCG(seed, 2))
		m := &model{Rand: random, owed: 1}
		p := newPlay(t, "")
		p.route()
		if random.IntN(3) == 0 {
			p.hold(t)
		}
		p.more = func(heard []byte) ([]byte, error) {
			next, err := m.next(heard)
			text := string(next)
			for strings.Contains(text, "<b@y.") { // some of them
				text = strings.Replace(text, "<b@y.", []string{"<c@y.", "<b@z."}[random.IntN(2)], 1)
			}
			return []byte(text), err
		}
		p.cut = random.IntN(2) * random.IntN(50)
		p.options.MaxErrors = 1000
		p.answer = m.answers(random)
		p.run(t)
		d, err := p.check([]byte(m.sent.String()))
		if err == nil && !p.held {
			err = p.noneElse(d)
		}
		if codes := codesOf(p.heard); m.fault != "" && codes[len(codes)-1] != "421" && codes[len(codes)-1] != "221" {
			err = fmt.Errorf("%s", m.fault)
		}
		if err != nil || t.Failed() {
			t.Fatalf("seed %d: %v\nsent %.2000q\nheard %q", seed, err, m.sent.String(), p.heard)
		}
		acknowledged += len(d.taken())
	}
	if acknowledged < 250 {
		t.Errorf("only %d messages were taken: the model is too pessimistic", acknowledged)
	}
}

// FuzzRoutes is FuzzSession with a second upstream.
func FuzzRoutes(f *testing.F) {
	const mail = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@z.example>\r\nRCPT TO:<b@y.example>\r\n"
	for _, client := range []string{
		"EHLO c\r\n" + mail + "DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n" + mail + "VRFY x\r\nRSET\r\nVRFY y\r\nQUIT\r\n",
		"EHLO c\r\n" + mail + "BDAT 5\r\nabc\r\nBDAT 4 LAST\r\nde\r\nMAIL FROM:<>\r\nRCPT TO:<b@y>\r\nDATA\r\nx\r\n.\r\n",
		"EHLO c\r\n" + mail + "EHLO d\r\n" + mail + "AUTH PLAIN x\r\n" + mail + "DATA\r\n.\r\n",
		"EHLO c\r\n" + mail + "RSET\r\nAUTH PLAIN\r\nx\r\n" + mail + "DATA\r\n.\r\n",
	} {
		for _, upstream := range []string{"", "\xff\xff\xff", "\xff\xff220 b\r\n\xff\xff450 a\r\n", "\xff\xff421 b\r\n", "\xff\xff\xff250 a\r\n\xff",
			"\xff\xff\xff\xff550 a\r\n\xff", "\xff\xff\xff\xff\xff550 a\r\n250 b\r\n\xff\xff", "\xff\xff\xff\xff\xff\xff354 a\r\n"} {
			f.Add([]byte(client), []byte(upstream), byte(0))
			f.Add([]byte(client), []byte(upstream), byte(0x80))
			f.Add([]byte(client), []byte(upstream), byte(0x8c))
		}
	}
	f.Fuzz(func(t *testing.T, client, upstream []byte, flags byte) {
		p := newPlay(t, "")
		p.route()
		if flags&0x80 != 0 {
			p.hold(t)
		}
		p.cut = int(flags & 0x30)
		p.more = inOneGo(string(client), either(flags&4 != 0))
		p.answer = inPieces(upstream, flags&8 == 0)
		p.run(t)
		if _, err := p.check(client); err != nil {
			t.Errorf("%v\nclient heard %q", err, p.heard)
		}
	})
}
