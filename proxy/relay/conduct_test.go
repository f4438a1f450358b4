package relay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/relay"
)

// watcher is a filter that notes all breaches, each with its sample.
type watcher struct {
	verdict filters.Verdict
	during  func(stage filters.Stage) // what happens while it is asked

	mu    sync.Mutex
	found []string
}

func (w *watcher) Conduct(_ context.Context, _ *filters.Session, b filters.Breach, sample []byte) filters.Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, fmt.Sprintf("%v %q", b, sample))
	return w.verdict
}

func (w *watcher) Helo(context.Context, *filters.Session) filters.Verdict {
	return w.ask(filters.Helo)
}

func (w *watcher) Data(context.Context, *filters.Transaction) filters.Verdict {
	return w.ask(filters.Data)
}

func (w *watcher) ask(stage filters.Stage) filters.Verdict {
	if w.during != nil {
		w.during(stage)
	}
	return filters.Verdict{}
}

// seen returns the breaches, each with its sample.
func (w *watcher) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.found)
}

func (w *watcher) want(t *testing.T, want ...string) {
	t.Helper()
	if got := w.seen(); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// watched gives a relay's chain one watcher. A refusal is told at once if delay
// is connect.
func watched(t testing.TB, o *relay.Options, delay filters.Stage, w *watcher) {
	spec := chain.Spec{Kind: filters.Kind{Name: "watcher", New: func(filters.Env, any) (filters.Filter, error) { return w, nil }}}
	c, err := chain.Build(filters.Env{Log: o.Log, Now: time.Now}, []chain.Spec{spec}, chain.Options{DelayReject: delay})
	if err != nil {
		t.Fatal(err)
	}
	o.Chain = c
}

var (
	refusal = filters.Refuse("seen", 550, [3]uint16{5, 5, 1}, "Seen")
	hangup  = filters.Refuse("seen", 521, [3]uint16{5, 5, 1}, "Seen")
)

// What is a breach, and what is not. The upstream offers PIPELINING to EHLO.
func TestBreaches(t *testing.T) {
	const ehlo, mail, rcpt = "EHLO c\r\n", "MAIL FROM:<a@x.example>\r\n", "RCPT TO:<b@y.example>\r\n"
	for name, c := range map[string]struct {
		parts []string // each is sent when the one before it is answered
		want  []string
	}{
		"a clean session":   {[]string{ehlo, mail + rcpt + "DATA\r\n", letter + ".\r\n", "NOOP\r\n", "QUIT\r\n"}, nil},
		"groups":            {[]string{ehlo, mail + rcpt + "RSET\r\n" + mail + rcpt + "DATA\r\n", letter + ".\r\n" + mail + rcpt + "RSET\r\nQUIT\r\n"}, nil},
		"chunks":            {[]string{ehlo, mail + rcpt + "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nRSET\r\nQUIT\r\n"}, nil},
		"behind QUIT":       {[]string{ehlo, "QUIT\r\nNOOP\r\n"}, nil},
		"an empty line":     {[]string{"\r\n" + ehlo, " \r\n" + mail + rcpt}, nil},
		"lower case":        {[]string{"ehlo c\r\n", "mail from:<a@x>\r\nrcpt to:<b@y>\r\n"}, nil},
		"EHLO":              {[]string{ehlo + mail}, []string{`pipelining "MAIL FROM:<a@x.example>\r\n"`}},
		"HELO":              {[]string{"HELO c\r\n" + "N"}, []string{`pipelining "N"`}},
		"after HELO":        {[]string{"HELO c\r\n", mail + rcpt}, []string{`pipelining "RCPT TO:<b@y.example>\r\n"`}},
		"before EHLO":       {[]string{"RSET\r\n" + ehlo}, []string{`pipelining "EHLO c\r\n"`}},
		"DATA":              {[]string{ehlo, mail + rcpt + "DATA\r\n" + letter + ".\r\n"}, []string{fmt.Sprintf("pipelining %.66q", letter+".\r\n")}},
		"NOOP":              {[]string{ehlo, "NOOP\r\nRSET\r\n"}, []string{`pipelining "RSET\r\n"`}},
		"HELP":              {[]string{ehlo, "HELP\r\nRSET\r\n"}, []string{`pipelining "RSET\r\n"`}},
		"VRFY":              {[]string{ehlo, "VRFY x\r\nRSET\r\n"}, []string{`pipelining "RSET\r\n"`}},
		"EXPN":              {[]string{ehlo, "EXPN x\r\nRSET\r\n"}, []string{`pipelining "RSET\r\n"`}},
		"STARTTLS":          {[]string{ehlo, "STARTTLS\r\n\x16\x03"}, []string{`pipelining "\x16\x03"`, `non_smtp "\x16\x03"`}},
		"an unknown verb":   {[]string{ehlo, "BLAH\r\nRSET\r\n"}, []string{`pipelining "RSET\r\n"`}},
		"once":              {[]string{ehlo, "NOOP\r\nNOOP\r\nVRFY\r\nNOOP\r\n"}, []string{`pipelining "NOOP\r\nVRFY\r\nNOOP\r\n"`}},
		"AUTH":              {[]string{ehlo, "AUTH LOGIN\r\nc2VjcmV0\r\n"}, []string{`pipelining ""`}},
		"AUTH, a line":      {[]string{ehlo, "AUTH LOGIN\r\n", "c2VjcmV0\r\nc2VjcmV0\r\n"}, []string{`pipelining ""`}},
		"AUTH, in step":     {[]string{ehlo, "AUTH LOGIN\r\n", "c2VjcmV0\r\n", "RSET\r\n"}, nil},
		"AUTH, bare LF":     {[]string{ehlo, "AUTH LOGIN\r\n", "c2VjcmV0\n"}, []string{`bare_lf ""`}},
		"AUTH ahead":        {[]string{ehlo + "AUTH PLAIN c2VjcmV0\r\n"}, []string{`pipelining "AUTH"`}},
		"AUTH ahead, lower": {[]string{ehlo + "RSET\r\nauth plain c2VjcmV0\r\n"}, []string{`pipelining "RSET\r\nauth"`}},
		"AUTH, bare LF 2":   {[]string{ehlo, "AUTH PLAIN c2VjcmV0\n"}, []string{`bare_lf "AUTH"`}},
		"after AUTH":        {[]string{ehlo, "AUTH LOGIN\r\n", "*\r\n", "0secret\r\n"}, []string{`non_smtp ""`}},
		"GET":               {[]string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, []string{`non_smtp "GET / HTTP/1.1"`}},
		"post":              {[]string{"post / HTTP/1.1\r\nHost: x\r\n\r\n"}, []string{`non_smtp "post / HTTP/1.1"`}},
		"CONNECT":           {[]string{ehlo, "CONNECT y:25 HTTP/1.1\r\n\r\n"}, []string{`non_smtp "CONNECT y:25 HTTP/1.1"`}},
		"a header field":    {[]string{ehlo, "Subject: hello\r\n"}, []string{`non_smtp "Subject: hello"`}},
		"a folded field":    {[]string{ehlo, " hello\r\n"}, []string{`non_smtp " hello"`}},
		"binary":            {[]string{"\x00\x01\x02"}, []string{`non_smtp "\x00\x01\x02"`}},
		"TLS":               {[]string{"\x16\x03\x01\x02\x00\x01"}, []string{`non_smtp "\x16\x03\x01\x02\x00\x01"`}},
		"TLS, by octets":    {[]string{"\x16"}, []string{`non_smtp "\x16"`}},
		"digits":            {[]string{ehlo, "250 Ok\r\n"}, []string{`non_smtp "250 Ok\r\n"`}},
		"long":              {[]string{ehlo, strings.Repeat("-", 100) + "\r\n"}, []string{fmt.Sprintf("non_smtp %q", strings.Repeat("-", 64))}},
		"bare LF":           {[]string{ehlo, "NOOP\nRSET\r\n"}, []string{`bare_lf "NOOP\n"`}},
		"bare LF only":      {[]string{"EHLO c\n", "MAIL\n\x00\n", "QUIT\n"}, []string{`bare_lf "EHLO c\n"`}},
		"bare CR":           {[]string{ehlo, "NOOP\rRSET\r\n"}, nil},
		"all":               {[]string{"NOOP\r\nNOOP\n", "\r\nPUT x\r\n"}, []string{`pipelining "NOOP\n"`, `bare_lf "NOOP\n"`, `non_smtp "PUT x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			p, w := newPlay(t, ""), &watcher{}
			watched(t, &p.options, filters.Rcpt, w)
			p.steps(c.parts...)
			p.run(t)
			w.want(t, c.want...)
			if strings.Contains(strings.Join(w.found, " "), "c2Vj") {
				t.Error("a secret is shown")
			}
		})
	}
}

// A breach that nobody minds changes no reply.
func TestBreachesIgnored(t *testing.T) {
	for _, octets := range []string{
		"EHLO c\r\n" + envelope + "DATA\r\n" + letter + ".\r\nNOOP\r\nQUIT\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nQUIT\r\n",
		"\x16\x03\x01\r\nNOOP\nNOOP\n\r\nAUTH LOGIN\r\nQUIT\r\n",
	} {
		var heard []string
		for range 2 {
			p := newPlay(t, octets)
			if heard == nil {
				watched(t, &p.options, filters.Rcpt, &watcher{})
			}
			p.run(t)
			heard = append(heard, string(p.heard))
		}
		if heard[0] != heard[1] {
			t.Errorf("watched, the client hears\n%s\nand else\n%s", heard[0], heard[1])
		}
	}
}

// What a client hears that is refused for a breach, by when that is told.
func TestBreachesRefused(t *testing.T) {
	const at, now = filters.Rcpt, filters.Connect
	for name, c := range map[string]struct {
		verdict filters.Verdict
		delay   filters.Stage
		parts   []string
		codes   string
		taken   int // messages
	}{
		"hangup at EHLO":      {hangup, at, []string{hello + envelope}, "220 521", 0},
		"hangup in a group":   {hangup, at, []string{hello, envelope + "NOOP\r\n" + envelope}, "220 250 250 250 521", 0},
		"hangup at DATA":      {hangup, at, []string{hello, envelope + "DATA\r\n" + letter}, "220 250 250 250 521", 0},
		"hangup for LF":       {hangup, at, []string{hello, "NOOP\n", "NOOP\r\n"}, "220 250 521", 0},
		"hangup in AUTH":      {hangup, at, []string{hello, "AUTH LOGIN\r\n", "a\r\nb\r\n"}, "220 250 334 521", 0},
		"now, at EHLO":        {refusal, now, []string{hello + "NOOP\r\n"}, "220 550 250", 0},
		"now, at MAIL":        {refusal, now, []string{"HELO c\r\n", envelope}, "220 250 550 503", 0},
		"now, at DATA":        {refusal, now, []string{hello, envelope + "DATA\r\nQUIT\r\n"}, "220 250 250 250 550 221", 0},
		"now, for LF":         {refusal, now, []string{hello, "NOOP\nNOOP\n\r\nNOOP\r\n"}, "220 250 550 500 250", 0},
		"now, in AUTH":        {refusal, now, []string{hello, "AUTH LOGIN\r\n", "a\r\nb\r\n", "QUIT\r\n"}, "220 250 334 550 550 221", 0},
		"now, GET":            {refusal, now, []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, "220 550", 0},
		"now, TLS":            {refusal, now, []string{"\x16\x03\x01"}, "220 550", 0},
		"held, at EHLO":       {refusal, at, []string{hello + envelope + "DATA\r\nQUIT\r\n"}, "220 250 250 550 554 221", 0},
		"held, GET":           {refusal, at, []string{"GET / HTTP/1.1\r\n", "Host: x\r\n", "QUIT\r\n"}, "220 550 550 221", 0},
		"held, before MAIL":   {refusal, at, []string{hello, "NOOP\n", "\r\n" + envelope, "QUIT\r\n"}, "220 250 500 250 550 221", 0},
		"held, at MAIL":       {refusal, at, []string{hello, "MAIL FROM:<a@x>\r\nNOOP\r\nRCPT TO:<b@y>\r\nDATA\r\n", "QUIT\r\n"}, "220 250 250 250 550 554 221", 0},
		"held, after RCPT":    {refusal, at, []string{hello, envelope + "NOOP\r\nRCPT TO:<c@y>\r\nDATA\r\n", "QUIT\r\n"}, "220 250 250 250 250 550 550 221", 0},
		"held, LF after RCPT": {refusal, at, []string{hello, envelope, "NOOP\n", "\r\nDATA\r\n", "QUIT\r\n"}, "220 250 250 250 500 550 221", 0},
		"held, at DATA":       {refusal, at, []string{hello, envelope + "DATA\r\n" + "x\r\n.\r\n", "QUIT\r\n"}, "220 250 250 250 550 550 550 221", 0},
		"held, in chunks":     {refusal, at, []string{hello, envelope + "BDAT 3\r\na\r\nNOOP\n", "\r\nBDAT 3 LAST\r\nb\r\n", "QUIT\r\n"}, "220 250 250 250 250 500 550 221", 0},
		"held, next message":  {refusal, at, []string{hello, envelope + "DATA\r\n", letter + ".\r\nNOOP\r\n" + envelope, "DATA\r\n", "QUIT\r\n"}, "220 250 250 250 354 250 250 250 550 554 221", 1},
		"held, then RSET":     {refusal, at, []string{hello, "MAIL FROM:<a@x>\r\nNOOP\r\nRSET\r\n" + envelope, "QUIT\r\n"}, "220 250 250 250 250 250 550 221", 0},
		"held, then EHLO":     {refusal, at, []string{hello, "MAIL FROM:<a@x>\r\nNOOP\r\n" + hello, envelope, "QUIT\r\n"}, "220 250 250 250 250 250 550 221", 0},
	} {
		for _, hold := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hold %v", name, hold), func(t *testing.T) {
				p, w := newPlay(t, ""), &watcher{verdict: c.verdict}
				watched(t, &p.options, c.delay, w)
				if hold {
					p.options.Chain = holding(t, p.options.Log, c.delay, w)
				}
				p.steps(c.parts...)
				p.run(t)
				p.wantCodes(t, c.codes)
				if taken := p.taken(); len(taken) != c.taken {
					t.Errorf("the upstream has %q, want %d messages", taken, c.taken)
				}
				if record := p.journal.with("refused"); !strings.Contains(record, "stage=conduct") || !strings.Contains(record, "reason=seen") {
					t.Errorf("the log has %q", record)
				}
			})
		}
	}
}

// holding is a chain with a watcher for which messages are held.
func holding(t *testing.T, log *slog.Logger, delay filters.Stage, w *watcher) *chain.Chain {
	t.Helper()
	holds := filters.Kind{Name: "holds", Needs: filters.WholeMessage, New: func(filters.Env, any) (filters.Filter, error) { return &stub{}, nil }}
	watches := filters.Kind{Name: "watcher", New: func(filters.Env, any) (filters.Filter, error) { return w, nil }}
	c, err := chain.Build(filters.Env{Log: log, Now: time.Now}, []chain.Spec{{Kind: holds}, {Kind: watches}}, chain.Options{DelayReject: delay})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What comes while the reply is under way is found on the wire.
func TestAheadOnTheWire(t *testing.T) {
	for name, c := range map[string]struct {
		verdict filters.Verdict
		delay   filters.Stage
		stage   filters.Stage
		ahead   string
		codes   []string // of the replies to the command and to what came ahead of them
	}{
		"EHLO, ignored": {filters.Verdict{}, filters.Rcpt, filters.Helo, "NOOP\r\n", []string{"250", "250"}},
		"EHLO, held":    {refusal, filters.Rcpt, filters.Helo, envelope, []string{"250", "250", "550"}},
		"EHLO, now":     {refusal, filters.Connect, filters.Helo, "NOOP\r\n", []string{"550", "250"}},
		"EHLO, hangup":  {hangup, filters.Rcpt, filters.Helo, "NOOP\r\n", []string{"521"}},
		"DATA, ignored": {filters.Verdict{}, filters.Rcpt, filters.Data, letter + ".\r\n", []string{"354", "250"}},
		"DATA, held":    {refusal, filters.Rcpt, filters.Data, letter + ".\r\n", []string{"354", "550"}},
		"DATA, now":     {refusal, filters.Connect, filters.Data, "QUIT\r\n", []string{"550", "221"}},
		"DATA, hangup":  {hangup, filters.Rcpt, filters.Data, letter + ".\r\n", []string{"521"}},
	} {
		for _, hold := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hold %v", name, hold), func(t *testing.T) {
				asked, goOn := make(chan struct{}), make(chan struct{})
				w := &watcher{verdict: c.verdict, during: func(s filters.Stage) {
					if s == c.stage {
						close(asked)
						<-goOn
					}
				}}
				r := newRig(t, func(o *relay.Options) {
					watched(t, o, c.delay, w)
					if hold {
						o.Chain = holding(t, o.Log, c.delay, w)
					}
				})
				client := r.dial()
				client.say("", "220")
				if c.stage == filters.Helo {
					client.say(hello)
				} else {
					client.say(hello, "250")
					client.say(envelope, "250", "250")
					client.say("DATA\r\n")
				}
				<-asked
				client.say(c.ahead) // it is in the relay's socket when this returns
				close(goOn)
				client.say("", c.codes...)
				client.Close()
				r.ended(0)
				w.want(t, fmt.Sprintf("pipelining %q", c.ahead[:min(64, len(c.ahead))]))
				delivered := 0
				if name == "DATA, ignored" {
					delivered = 1
				}
				if len(r.up.messages) != delivered {
					t.Errorf("%d messages have arrived", len(r.up.messages))
				}
			})
		}
	}
}

// A TLS client and an HTTP client are found out at once, not after a time-out.
func TestForeignClients(t *testing.T) {
	w := &watcher{verdict: hangup}
	r := newRig(t, func(o *relay.Options) { watched(t, o, filters.Rcpt, w) })
	c := r.dial()
	c.say("", "220")
	err := tls.Client(c, &tls.Config{ServerName: "weir.example"}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "not look like a TLS handshake") {
		t.Errorf("TLS handshake: %v", err)
	}
	c.Close()
	r.ended(0)
	if found := w.seen(); len(found) != 1 || !strings.HasPrefix(found[0], `non_smtp "\x16\x03\x01`) {
		t.Errorf("TLS is found as %q", found)
	}
	c = r.dial()
	c.say("POST / HTTP/1.1\r\nHost: weir.example\r\n\r\n"+hello+envelope+"DATA\r\n"+letter+".\r\n", "220", "521")
	c.wantEnd()
	c.Close()
	r.ended(0)
	if found := w.seen(); len(found) != 2 || found[1] != `non_smtp "POST / HTTP/1.1"` {
		t.Errorf("HTTP is found as %q", found)
	}
	if r.up.open != 0 || len(r.up.commands) != 0 {
		t.Errorf("the upstream hears %q", r.up.commands)
	}
}

// A flood of octets ends with an answer that the client gets to read.
func TestFloodOfOctets(t *testing.T) {
	for name, flood := range map[string][]byte{
		"zeros":   make([]byte, 1<<20),
		"no LF":   bytes.Repeat([]byte{0xFE}, 1<<20),
		"only LF": bytes.Repeat([]byte{'\n'}, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *relay.Options) { watched(t, o, filters.Rcpt, &watcher{verdict: hangup}) })
			c := r.dial()
			c.say("", "220")
			sent := make(chan error, 1)
			go func() {
				_, err := io.Copy(c.Conn, bytes.NewReader(flood))
				sent <- err
			}()
			c.say("", "521")
			c.wantEnd()
			if err := <-sent; err != nil {
				t.Error(err)
			}
			c.Close()
		})
	}
}
