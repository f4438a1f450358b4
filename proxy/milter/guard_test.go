package milter_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
)

// everything is a filter that is asked at all stages.
func everything() *stub {
	f := says(filters.Mail, filters.Verdict{})
	for _, s := range dialogue {
		if s != filters.Body {
			f.at[s] = f.at[filters.Mail]
		}
	}
	f.body = func(*filters.Transaction) io.Writer { return &sink{} }
	f.verb = func(string, string) filters.Verdict { return filters.Verdict{} }
	return f
}

// packets are a whole dialogue, as an MTA has it.
func packets() [][]byte {
	return [][]byte{
		negotiation,
		frame('D', "C{daemon_addr}\x00192.0.2.25\x00j\x00mx\x00"),
		frame('C', "client.example\x004\x10\x00192.0.2.1\x00"),
		frame('H', "helo.example\x00"),
		frame('U', "FROB a\x00"),
		frame('M', "<a@x.example>\x00SIZE=10\x00"),
		frame('D', "Ri\x00Q1\x00"),
		frame('R', "<b@y.example>\x00"),
		frame('T', ""),
		frame('L', "From\x00 a@x.example\x00"),
		frame('N', ""),
		frame('B', "Hello\r\n"),
		frame('E', ""),
		frame('A', ""),
		frame('Q', ""),
	}
}

// Each packet that the library would choke on ends its connection, and leaves a
// record that names the cause.
func TestBadPackets(t *testing.T) {
	d := open(t, everything())
	for what, p := range map[string]struct {
		packet []byte
		cause  string
	}{
		"nothing":          {[]byte{0, 0, 0, 0}, "its length is 0"},
		"large":            {[]byte{0x1f, 0, 0, 0}, "its length is 520093696"},
		"connect":          {frame('C', "client"), "without an address family"},
		"connect cut":      {frame('C', "client\x00"), "without an address family"},
		"connect port":     {frame('C', "client\x004\x10"), "without a port"},
		"connect address":  {frame('C', "client\x004\x10\x00nowhere\x00"), "is no IPv4 address"},
		"connect address6": {frame('C', "client\x006\x10\x00IPv6:::g\x00"), "is no IPv6 address"},
		"connect family":   {frame('C', "client\x00X\x10\x00\x00"), "unknown address family"},
		"helo":             {frame('H', ""), "HELO without a name"},
		"mail":             {frame('M', "<a@x>"), "without an end of its address"},
		"rcpt":             {frame('R', ""), "without an end of its address"},
		"field":            {frame('L', "From\x00"), "a name and a value"},
		"fields":           {frame('L', "From\x00a\x00b\x00"), "a name and a value"},
		"macros":           {frame('D', ""), "macros for no command"},
		"end":              {frame('E', "more"), "an end of the message with more"},
		"command":          {frame('Z', ""), "unknown command"},
		"negotiation":      {negotiation, "where a negotiation is over"},
	} {
		before := len(d.records("closed a connection of the MTA"))
		conn := d.dial()
		conn.Write(append(bytes.Clone(negotiation), p.packet...))
		if err := gone(conn); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		list := d.records("closed a connection of the MTA")
		if len(list) != before+1 || !strings.Contains(list[before].str("error"), p.cause) || list[before].str("mta") == "" {
			t.Errorf("%s: log %v", what, list[before:])
		}
	}
	for _, p := range [][]byte{frame('C', "x\x00U"), frame('O', "short")} {
		conn := d.dial()
		conn.Write(p)
		if err := gone(conn); err != nil {
			t.Errorf("%q first: %v", p, err)
		}
	}
	d.alive()
}

// Every prefix and every bit flip of a dialogue leaves the process serving
// others.
func TestFlood(t *testing.T) {
	quick := patient
	quick.Packet, quick.Idle = 100*time.Millisecond, 100*time.Millisecond
	d := open(t, everything(), timeouts(quick))
	whole := bytes.Join(packets(), nil)
	for n := range whole {
		d.throw(whole[:n])
	}
	for bit := range 8 * len(whole) {
		flipped := bytes.Clone(whole)
		flipped[bit/8] ^= 1 << (bit % 8)
		d.throw(flipped)
	}
	waitFor(t, func() bool { return d.serves() })
	d.alive()
}

// throw sends octets and hangs up.
func (d *door) throw(b []byte) {
	d.t.Helper()
	conn, err := net.Dial(d.network, d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	conn.Write(b)
	conn.Close()
}

// serves reports whether a connection is not turned away.
func (d *door) serves() bool {
	conn, err := net.Dial(d.network, d.addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.Write(negotiation)
	conn.SetReadDeadline(time.Now().Add(time.Second))
	n, _ := conn.Read(make([]byte, 64))
	return n > 0
}

func FuzzGuard(f *testing.F) {
	whole := bytes.Join(packets(), nil)
	f.Add(whole)
	for i := range packets() {
		f.Add(bytes.Join(packets()[:i], nil))
		f.Add(append(bytes.Clone(negotiation), packets()[i]...))
	}
	f.Add([]byte{0, 0, 0, 0})
	quick := patient
	quick.Packet, quick.Idle = 50*time.Millisecond, 50*time.Millisecond
	d := open(f, everything(), timeouts(quick), options(func(c *config) { c.milter.Log = discard() }))
	f.Fuzz(func(t *testing.T, data []byte) {
		conn, err := net.Dial(d.network, d.addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(data)
		if err := gone(conn); err != nil {
			t.Error(err)
		}
		conn.Close()
		waitFor(t, d.serves) // an MTA that has no time may be given up once or twice
	})
}

// An MTA that stalls is given up.
func TestTimeouts(t *testing.T) {
	quick := patient
	quick.Packet, quick.Idle = 30*time.Millisecond, 60*time.Millisecond
	d := open(t, everything(), timeouts(quick))
	for what, sent := range map[string][]byte{
		"nothing at all": nil,
		"a negotiation":  negotiation,
		"half a packet":  append(bytes.Clone(negotiation), 0, 0, 0, 9, 'M'),
	} {
		before := len(d.records("closed a connection of the MTA"))
		conn := d.dial()
		conn.Write(sent)
		if err := gone(conn); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if list := d.records("closed a connection of the MTA"); len(list) != before+1 || list[before].str("reason") != "mta_timeout" {
			t.Errorf("%s: log %v", what, list[before:])
		}
	}
	d.alive()
}

func TestMaxConnections(t *testing.T) {
	d := open(t, everything(), options(func(c *config) { c.milter.MaxConnections = 1 }))
	m := d.ask()
	if err := gone(d.dial()); err != nil {
		t.Error(err)
	}
	d.only("closed a connection of the MTA")
	m.Close()
	waitFor(t, d.serves)
}

// An MTA of an old protocol is served, and the log says what will not work.
func TestOldMTA(t *testing.T) {
	d := open(t, editing(filters.Verdict{}), needs(filters.EditSender))
	for range 2 {
		m := d.ask(lib.WithMaximumVersion(2), lib.WithProtocols(0), lib.WithActions(lib.AllClientSupportedActionMasks&^lib.OptChangeFrom&^lib.OptSetMacros&^lib.OptAddRcptWithArgs))
		if w := m.play(filters.Connect, filters.EOM, hello); w != "eom accept" {
			t.Errorf("told %q", w)
		}
		m.Close()
	}
	d.only("the MTA is old")
	d.only("the MTA does not offer all that the chain needs")
	conn := d.dial()
	conn.Write(frame('O', "\x00\x00\x00\x01\x00\x00\x01\xff\x00\x1f\xff\xff"))
	if err := gone(conn); err != nil {
		t.Error(err)
	}
	d.only("cannot serve an MTA")
}

// Only what some filter needs is asked for.
func TestNegotiation(t *testing.T) {
	for _, c := range []struct {
		f    *stub
		want lib.OptProtocol
	}{
		{&stub{}, lib.OptNoConnReply | lib.OptNoHeloReply | lib.OptNoMailReply | lib.OptNoRcptReply | lib.OptNoHeaderReply |
			lib.OptNoData | lib.OptNoHeaders | lib.OptNoEOH | lib.OptNoBody | lib.OptNoUnknown},
		{says(filters.Connect, filters.Verdict{}), lib.OptNoHeaderReply |
			lib.OptNoData | lib.OptNoHeaders | lib.OptNoEOH | lib.OptNoBody | lib.OptNoUnknown},
		{says(filters.Rcpt, filters.Verdict{}), lib.OptNoConnReply | lib.OptNoHeloReply | lib.OptNoMailReply | lib.OptNoHeaderReply |
			lib.OptNoData | lib.OptNoHeaders | lib.OptNoEOH | lib.OptNoBody | lib.OptNoUnknown},
		{says(filters.EOH, filters.Verdict{}), lib.OptNoConnReply | lib.OptNoHeloReply | lib.OptNoMailReply | lib.OptNoRcptReply | lib.OptNoHeaderReply |
			lib.OptNoData | lib.OptHeaderLeadingSpace | lib.OptNoBody | lib.OptNoUnknown},
		{says(filters.Body, filters.Verdict{}), lib.OptNoConnReply | lib.OptNoHeloReply | lib.OptNoMailReply | lib.OptNoRcptReply | lib.OptNoHeaderReply |
			lib.OptNoData | lib.OptHeaderLeadingSpace | lib.OptSkip | lib.OptNoUnknown},
		{everything(), lib.OptNoHeaderReply | lib.OptSkip | lib.OptHeaderLeadingSpace},
	} {
		d := open(t, c.f)
		m := d.ask()
		for bit := range 21 {
			o := lib.OptProtocol(1) << bit
			if got := m.ProtocolOption(o); got != (c.want&o != 0) {
				t.Errorf("%v: %v is %v", c.f.Stages(), o, got)
			}
		}
		m.Close()
	}
}
