package relay_test

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/pregreet"
)

// FuzzSession drives a whole session with any octets from both sides. What
// must hold is in play, oracle and dialogue.
//
// The upstream's octets are cut at 0xFF: each piece is what it says to one
// write of the relay, an empty one is what an MTA would say.
func FuzzSession(f *testing.F) {
	const mail = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
	for _, client := range []string{
		"EHLO c\r\n" + mail + "DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
		"EHLO c\r\n" + mail + "BDAT 5\r\nabc\r\nBDAT 4 LAST\r\nde\r\n" + mail + "RSET\r\nNOOP\r\nQUIT\r\n",
		"HELO c\r\nNOOP\nNOOP\r\n" + mail + "DATA\r\nx\n.\nMAIL FROM:<e@v.il>\r\n.\r\nVRFY x\r\nHELP\r\n",
		"EHLO c\r\nAUTH LOGIN\r\nabc\r\ndef\r\nSTARTTLS\r\nXCLIENT ADDR=1.2.3.4\r\nXFORWARD NAME=x\r\nQUIT\r\n",
		"EHLO c\r\nMAIL FROM:<a@x> BODY=BINARYMIME SIZE=10\r\nRCPT TO:<b@y>\r\nBDAT 3\r\n\x00\r\nBDAT 0 LAST\r\n",
		"EHLO c\r\n" + mail + "NOOP\n\r\nDATA\r\n.\r\nGET / HTTP/1.1\r\n\x16\x03\x01",
		"EHLO c\r\n" + mail + "DATA\r\n.\r\n" + mail + mail + "DATA\r\nhello\r\n.\r\nEHLO d\r\n" + mail + "DATA\r\nlost",
	} {
		for _, upstream := range []string{"", "\xff\xff\xff", "\xff\xff250 a\r\n450 b\r\n354 c\r\n", "220 a\r\n421 b\r\n",
			"\xff\xff\xff\xff250-x\r\n250 y\r\n", "\xff\xff\xff250 early\r\n\xff250", "\xff\xff\xff\xff999 z\r\n",
			"\xff\xff\xff\xff25", "\xff\xff250 a\r\n250 b\r\n354 c\r\n550 early\r\n", "\xff\xff\xff\xff421 closing\r\n"} {
			f.Add([]byte(client), []byte(upstream), byte(0), byte(0))
			f.Add([]byte(client), []byte(upstream), byte(0x80), byte(0))
			f.Add([]byte(client), []byte(upstream), byte(9), byte(0x40))
			f.Add([]byte(client), []byte(upstream), byte(0x80), byte(0x40))
			f.Add([]byte(client), []byte(upstream), byte(0), byte(0x80))
		}
	}
	f.Fuzz(func(t *testing.T, client, upstream []byte, cut, flags byte) {
		p := newPlay(t, "")
		p.cut = int(cut & 0x7F)
		if cut >= 0x80 {
			p.hold(t)
		}
		early := flags&0x80 != 0
		if early || flags&0x40 != 0 {
			p.guard(t, early)
		}
		p.options.FixLines = flags&1 != 0
		p.options.FixNUL = flags&2 != 0
		p.options.MaxErrors = 5 + 5*int(flags>>4&3)
		p.more = inOneGo(string(client), either(flags&4 != 0))
		p.answer = inPieces(upstream, flags&8 == 0)
		p.run(t)
		if _, err := p.check(client); err != nil {
			t.Errorf("%v\nclient heard %q", err, p.heard)
		}
		if taken := p.taken(); early && len(client) > 0 && len(taken) > 0 {
			t.Errorf("the client talked before it was greeted, and the upstream has %q", taken)
		}
	})
}

// inPieces has the upstream say what was fuzzed instead of its usual replies: a
// piece, up to \xff, for each of them that is not empty. Then it is silent, or
// closes.
func inPieces(upstream []byte, silent bool) func(int, string) (string, error) {
	pieces := strings.Split(string(upstream), "\xff")
	return func(n int, usual string) (string, error) {
		if n < len(pieces) && pieces[n] != "" {
			usual = pieces[n]
		}
		if n+1 < len(pieces) {
			return usual, os.ErrDeadlineExceeded
		}
		return usual, either(silent)
	}
}

// either returns how a connection ends: closed, or silent.
func either(silent bool) error {
	if silent {
		return os.ErrDeadlineExceeded
	}
	return io.EOF
}

// guard puts pregreet in force. With early the client is heard before it is
// greeted, and all it sends in one go is early talk.
func (p *play) guard(t testing.TB, early bool) {
	options := "{exempt: [], wait: 0s}"
	if early {
		options = "{exempt: [], wait: 1ms}"
	}
	kind := filters.Kind{Name: "stub", New: func(filters.Env, any) (filters.Filter, error) { return &stub{}, nil }}
	if p.held {
		kind.Needs = filters.WholeMessage
	}
	specs := []chain.Spec{{Kind: pregreet.Kind, Conf: filtertest.Conf(t, pregreet.Kind, options)}, {Kind: kind}}
	env := filters.Env{Log: p.options.Log, Now: time.Now, Store: new(recollection)}
	c, err := chain.Build(env, specs, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	p.options.Chain = c
}
