package proxy_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestMilterReal runs mailweir as users do, asked by a real Postfix and by a
// real Sendmail that pass all mail on to a recorder.
func TestMilterReal(t *testing.T) {
	binary := peer.BuildMailweir(t)
	for _, kind := range mtas {
		t.Run(kind.name, func(t *testing.T) {
			t.Run("refusals", func(t *testing.T) { testMilterRefusals(t, binary, kind) })
			t.Run("fields", func(t *testing.T) { testMilterFields(t, binary, kind) })
			t.Run("sessions", func(t *testing.T) { testMilterSessions(t, binary, kind) })
			t.Run("killed", func(t *testing.T) { testMilterKilled(t, binary, kind) })
			t.Run("load", func(t *testing.T) { testMilterLoad(t, binary, kind) })
		})
	}
}

// seenKinds is allKinds without verbs, of which an MTA tells too few.
const seenKinds = `[
  access: {deny: [192.0.2.0/24]},
  helo: {exempt: []},
  size: {max: 50MiB},
  rcpt: {domains: [test.example], relay_from: []},
]`

// An mtaKind is one of the MTAs, with how to start it.
type mtaKind struct {
	name  string
	start func(testing.TB, mtaOptions) peer.MTA
}

// mtaOptions are what a test may want of either MTA.
type mtaOptions struct {
	relayhost, milter string
	unfiltered        bool // mail passes without its milter; else it has to wait
	hasty             bool // the MTA waits for its milter no longer than two seconds
	tls               *peer.Certificate
}

const (
	postfix  = "Postfix"
	sendmail = "Sendmail"
)

var mtas = []mtaKind{
	{postfix, func(t testing.TB, o mtaOptions) peer.MTA {
		action := "tempfail"
		if o.unfiltered {
			action = "accept"
		}
		more := map[string]string{}
		if o.hasty {
			more["milter_command_timeout"], more["milter_content_timeout"] = "2s", "2s"
		}
		return peer.Postfix(t, peer.PostfixOptions{
			Relayhost: o.relayhost, Milter: o.milter, Default: action, TLS: o.tls, Main: more,
		})
	}},
	{sendmail, func(t testing.TB, o mtaOptions) peer.MTA {
		flag := "T"
		if o.unfiltered {
			flag = ""
		}
		timeouts := ""
		if o.hasty {
			timeouts = "S:2s;R:2s"
		}
		return peer.Sendmail(t, peer.SendmailOptions{
			Relayhost: o.relayhost, Milter: o.milter, Flag: flag, TLS: o.tls, Timeouts: timeouts,
		})
	}},
}

// A weir is the way of a message: an MTA, which asks mailweir, and a recorder.
type weir struct {
	milter *peer.Milter
	mta    peer.MTA
	sink   *peer.Recorder
}

func newWeir(t *testing.T, binary peer.Mailweir, kind mtaKind, o peer.MilterOptions) weir {
	t.Helper()
	sink := peer.Sink(t)
	milter := binary.Milter(t, o)
	t.Cleanup(func() { inPeace(t, milter.Log()) })
	return weir{milter, kind.start(t, mtaOptions{relayhost: sink.Addr, milter: milter.Address}), sink}
}

// inPeace wants a log without warnings, but for that of root, who runs the tests.
func inPeace(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "mailweir runs as root") {
			continue
		}
		if strings.Contains(line, "mailweir runs as root") {
			continue
		}
		if strings.Contains(line, "WARN") || strings.Contains(line, "ERROR") {
			t.Errorf("mailweir warns: %s", line)
		}
	}
}

// arrived waits until all that the MTA took has been passed on.
func (w weir) arrived(t *testing.T) []peer.Message {
	t.Helper()
	w.mta.Settle(t, time.Minute)
	return w.sink.Messages()
}

// senders returns from whom the messages are that have arrived.
func (w weir) senders(t *testing.T) string {
	t.Helper()
	return senders(w.arrived(t))
}

func senders(messages []peer.Message) string {
	var from []string
	for _, m := range messages {
		from = append(from, m.From)
	}
	return strings.Join(from, " ")
}

// deliver sends a small message in a session that has been opened.
func deliver(c *peer.Client, from string) {
	sendText(c, from, "Subject: a test\r\n\r\nbody\r\n", "250")
}

// sendText sends a message, to the end of which the reply must be code.
func sendText(c *peer.Client, from, text, code string) {
	c.Do("250", "MAIL FROM:<"+from+">")
	c.Do("250", "RCPT TO:<to@test.example>")
	c.Do("354", "DATA")
	c.Write(peer.Stuff(text) + ".\r\n")
	c.Expect(code)
}

// quotedID is the id in a refusal.
var quotedID = regexp.MustCompile(`\(id ([^)]+)\)`)

// refusedAs wants the reply to quote an id, which the log has with that filter
// and reason.
func (w weir) refusedAs(t *testing.T, reply, filter, reason string) {
	t.Helper()
	id := quotedID.FindStringSubmatch(reply)
	if id == nil {
		t.Fatalf("no id in the reply %q", reply)
	}
	for _, record := range w.milter.Records(t, "refused") {
		if record["id"] == id[1] && record["filter"] == filter && record["reason"] == reason {
			return
		}
	}
	t.Errorf("the log has no refusal by %s with the reason %s and the id %s:\n%s", filter, reason, id[1], w.milter.Log())
}
