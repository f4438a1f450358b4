package relay_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/relay"
)

// limits are all that answer a client for what it does too much of: what it
// sends, and then, if it is slow, octet by octet; and what it hears of it.
var limitCases = []struct {
	reason      string
	sends, slow string
	starts      bool   // with EHLO and STARTTLS
	hears       string // code and enhanced code; "" if nobody could read it
	others      int    // clients that are there before
	change      func(t *testing.T, o *relay.Options)
}{
	{reason: "too_many_sessions", hears: "421 4.7.0", others: 2,
		change: func(_ *testing.T, o *relay.Options) { o.Limiter = relay.NewLimiter(2, 0) }},
	{reason: "too_many_sessions_of_client", hears: "421 4.7.0", others: 2,
		change: func(_ *testing.T, o *relay.Options) { o.Limiter = relay.NewLimiter(0, 2) }},
	{reason: "too_many_sessions_of_listener", hears: "421 4.7.0", others: 2,
		change: func(_ *testing.T, o *relay.Options) { o.MaxSessions = 2 }},
	{reason: "too_many_errors", sends: hello + strings.Repeat("BLAH\r\n", 9), hears: "421 4.7.0",
		change: func(_ *testing.T, o *relay.Options) { o.MaxErrors = 3 }},
	{reason: "too_many_commands", sends: hello + strings.Repeat("NOOP\r\n", 9), hears: "421 4.7.0",
		change: func(_ *testing.T, o *relay.Options) { o.MaxCommands = 3 }},
	{reason: "too_many_transactions", sends: hello + strings.Repeat(envelope+"RSET\r\n", 3), hears: "421 4.7.0",
		change: func(_ *testing.T, o *relay.Options) { o.MaxTransactions = 2 }},
	{reason: "too_many_recipients", sends: hello + envelope + envelope[strings.Index(envelope, "RCPT"):], hears: "452 4.5.3",
		change: func(_ *testing.T, o *relay.Options) { o.MaxRcpts = 1 }},
	{reason: "too_many_recipients_of_session", sends: hello + strings.Repeat(envelope+"RSET\r\n", 3), hears: "421 4.7.0",
		change: func(_ *testing.T, o *relay.Options) { o.MaxSessionRcpts = 2 }},
	{reason: "text_too_slow", sends: hello + envelope + "DATA\r\n", slow: "x", hears: "421 4.4.2",
		change: func(_ *testing.T, o *relay.Options) { o.MinRate, o.Timeouts.DataBlock = 500, time.Second }},
	{reason: "client_timeout", sends: hello + "NOOP ", slow: "x", hears: "421 4.4.2",
		change: func(_ *testing.T, o *relay.Options) { o.Timeouts.Command = time.Second }},
	{reason: "handshake_too_slow", starts: true, sends: firstOfTLS, slow: "\x00",
		change: func(t *testing.T, o *relay.Options) {
			encrypts(t, o, nil)
			o.Timeouts.Handshake = time.Second
		}},
	{reason: "handshake_too_slow", sends: firstOfTLS, slow: "\x00",
		change: func(t *testing.T, o *relay.Options) {
			encrypts(t, o, nil)
			o.TLS.Implicit, o.Timeouts.Handshake = true, time.Second
		}},
	{reason: "line_without_end", sends: strings.Repeat("x", 2<<20), hears: "421 4.7.0"},
	{reason: "text_without_end", sends: hello + "BDAT 300000000\r\n", hears: "552 5.3.4"},
	{reason: "header_too_large", sends: hello + envelope + "DATA\r\nA: " + strings.Repeat("x", 2<<20) + "\r\n.\r\n", hears: "552 5.3.4",
		change: func(t *testing.T, o *relay.Options) {
			o.Chain = newChain(t, o.Log, reader{})
		}},
	{reason: "no_room", sends: hello + envelope + "DATA\r\n" + strings.Repeat("x", 1000) + "\r\n.\r\n", hears: "452 4.3.1",
		change: func(t *testing.T, o *relay.Options) {
			o.Room = relay.NewRoom(900)
			o.Chain = newNeedyChain(t, o.Log, filters.WholeMessage, &stub{})
		}},
	{reason: "auth_failures", sends: hello + strings.Repeat(wrong, 3), hears: "421 4.7.0",
		change: func(t *testing.T, o *relay.Options) {
			refuses := newFake(t, func(f *fake) { f.keywords, f.answer = []string{"AUTH PLAIN"}, says("AUTH", "535 5.7.8 No") })
			o.Upstream = behind(newFleet(), refuses.addr, maxConnections)
			o.Failures, o.MaxFailures, o.FailWindow = relay.NewFailures(9, time.Now), 2, time.Hour
		}},
}

// reader is a filter that reads header sections.
type reader struct{}

func (reader) Header(context.Context, *filters.Transaction) filters.Verdict { return filters.Verdict{} }

// firstOfTLS are the first octets of a hello of TLS that is longer.
const firstOfTLS = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

// Each limit is answered with its code, logged with its reason, and counted.
func TestLimits(t *testing.T) {
	for _, c := range limitCases {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			m := filtertest.NewMetrics()
			r := newRig(t, func(o *relay.Options) {
				o.Meters = metered(m)
				if c.change != nil {
					c.change(t, o)
				}
			})
			for range c.others {
				r.dial().say("", "220")
			}
			client := r.dial()
			if c.starts {
				client.say(hello, "220", "250")
				client.say("STARTTLS\r\n", "220")
			}
			heard := client.tell(c.sends, c.slow)
			if c.hears != "" && !strings.Contains(heard, "\r\n"+c.hears+" ") && !strings.HasPrefix(heard, c.hears+" ") {
				t.Errorf("the client heard %q, want %s", heard, c.hears)
			}
			r.ended(c.others)
			if log := r.journal.with("refused") + r.journal.with("TLS handshake failed") + r.journal.with("message not accepted"); !strings.Contains(log, "filter=limits") || !strings.Contains(log, "reason="+c.reason) {
				t.Errorf("the log has %v", r.journal.records)
			}
			if got, want := fmt.Sprint(m.All("mailweir_limits_total")), "map[test "+c.reason+":1]"; got != want {
				t.Errorf("limits hit are %s, want %s", got, want)
			}
		})
	}
}

// tell sends something, then slow again and again, until the relay closes. It
// returns what the client heard.
func (c *client) tell(octets, slow string) string {
	var heard strings.Builder
	var hearing sync.WaitGroup
	gone := make(chan struct{})
	hearing.Go(func() {
		defer close(gone)
		io.Copy(&heard, c.in)
	})
	_, err := io.WriteString(c, octets)
	for err == nil && slow != "" {
		_, err = io.WriteString(c, slow)
		select {
		case <-gone:
			slow = ""
		case <-time.After(5 * time.Millisecond):
		}
	}
	if tcp, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		tcp.CloseWrite()
	}
	hearing.Wait()
	c.Close()
	return heard.String()
}
