package milter_test

import (
	"fmt"
	"net"
	"strings"
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
)

// mta is the library's client in the part of an MTA.
type mta struct {
	*lib.ClientSession
	door   *door
	macros *lib.MacroBag
	edits  []string // of the latest message
}

// ask connects and negotiates.
func (d *door) ask(options ...lib.Option) *mta {
	d.t.Helper()
	bag := lib.NewMacroBag()
	for name, value := range map[string]string{
		lib.MacroMTAFQDN: "mx.example", lib.MacroDaemonName: "smtpd", lib.MacroDaemonAddr: "192.0.2.25",
		lib.MacroDaemonPort: "25", lib.MacroClientName: "client.example", lib.MacroQueueId: "Q1",
	} {
		bag.Set(name, value)
	}
	options = append([]lib.Option{lib.WithReadTimeout(20 * time.Second)}, options...)
	s, err := lib.NewClient(d.network, d.addr, options...).Session(bag)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { s.Close() })
	return &mta{ClientSession: s, door: d, macros: bag}
}

// told is what the MTA was told in one word, or its own reply.
func (m *mta) told(a *lib.Action, err error) string {
	m.door.t.Helper()
	if err != nil {
		m.door.t.Fatalf("%v\n%s", err, m.door.log)
	}
	switch a.Type {
	case lib.ActionContinue:
		return "continue"
	case lib.ActionAccept:
		return "accept"
	case lib.ActionDiscard:
		return "discard"
	case lib.ActionSkip:
		return "skip"
	case lib.ActionReject:
		return "reject"
	case lib.ActionTempFail:
		return "tempfail"
	}
	return a.SMTPReply
}

// message is the content of a mail, fields and body.
type message struct {
	fields [][2]string
	body   []string // in chunks
}

var hello = message{[][2]string{{"From", " a@x.example"}, {"Subject", " x"}}, []string{"Hello\r\n"}}

// event has the MTA tell of one stage.
func (m *mta) event(s filters.Stage, msg message) string {
	m.door.t.Helper()
	switch s {
	case filters.Connect:
		return m.told(m.Conn("client.example", lib.FamilyInet, 4711, "198.51.100.7"))
	case filters.Helo:
		return m.told(m.Helo("helo.example"))
	case filters.Mail:
		return m.told(m.Mail("alice@x.example", "SIZE=100 BODY=8BITMIME"))
	case filters.Rcpt:
		return m.told(m.Rcpt("bob@y.example", ""))
	case filters.Data:
		return m.told(m.DataStart())
	case filters.EOH:
		for _, f := range msg.fields {
			if w := m.told(m.HeaderField(f[0], f[1], nil)); w != "continue" {
				m.door.t.Fatalf("header field: %s", w)
			}
		}
		return m.told(m.HeaderEnd())
	case filters.Body:
		for i, chunk := range msg.body {
			if w := m.told(m.BodyChunk([]byte(chunk))); w != "continue" || i == len(msg.body)-1 {
				return w
			}
		}
		return "continue"
	case filters.Command:
		return m.told(m.Unknown("frob a b", nil))
	}
	acts, a, err := m.End()
	m.edits = nil
	for _, act := range acts {
		m.edits = append(m.edits, act.String())
	}
	return m.told(a, err)
}

var dialogue = []filters.Stage{
	filters.Connect, filters.Helo, filters.Mail, filters.Rcpt,
	filters.Data, filters.EOH, filters.Body, filters.EOM,
}

// play tells of all stages from the first to the last, until one is not
// answered by continue. It returns that stage and the answer.
func (m *mta) play(first, last filters.Stage, msg message) string {
	m.door.t.Helper()
	for _, s := range dialogue {
		if s < first {
			continue
		}
		if w := m.event(s, msg); w != "continue" || s == last {
			return s.String() + " " + w
		}
	}
	return ""
}

// mail tells of one message after the greeting.
func (m *mta) mail() string {
	m.door.t.Helper()
	return m.play(filters.Mail, filters.EOM, hello)
}

// frame makes a packet.
func frame(code byte, data string) []byte {
	n := len(data) + 1
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), code}, data...)
}

// negotiation is what Postfix and Sendmail begin with.
var negotiation = frame('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")

// alive checks that the door serves an MTA.
func (d *door) alive() {
	d.t.Helper()
	m := d.ask()
	defer m.Close()
	if w := m.play(filters.Connect, filters.EOM, hello); !strings.HasPrefix(w, "eom accept") {
		d.t.Fatalf("another connection is told: %s", w)
	}
}

// gone waits until the other side has closed the connection.
func gone(conn net.Conn) error {
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	for {
		if _, err := conn.Read(buf); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				return fmt.Errorf("the connection is still open")
			}
			return nil
		}
	}
}
