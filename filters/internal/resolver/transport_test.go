package resolver_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
)

func TestEDNS(t *testing.T) {
	p := serveUDP(t, addresses)
	if _, err := ask(t, open(t, to(p)), filters.TypeA, "a.example"); err != nil {
		t.Fatal(err)
	}
	q := p.asked()[0]
	opt := q.IsEdns0()
	if opt == nil || opt.UDPSize() != 1232 || opt.Do() || !q.RecursionDesired {
		t.Errorf("asked with\n%v", q.Msg)
	}
}

// TestWithoutEDNS asks servers that do not understand it.
func TestWithoutEDNS(t *testing.T) {
	deny := func(rcode int) func(q question) []byte {
		return func(q question) []byte {
			m := nothing(q, rcode, "")
			if rcode > 15 {
				m.SetEdns0(512, false)
			}
			return send(q, m)[0]
		}
	}
	for what, denial := range map[string]func(q question) []byte{
		"FORMERR": deny(dns.RcodeFormatError),
		"NOTIMP":  deny(dns.RcodeNotImplemented),
		"BADVERS": deny(dns.RcodeBadVers),
		"a bare header": func(q question) []byte {
			m := new(dns.Msg)
			m.SetRcodeFormatError(q.Msg)
			m.Question = nil
			return send(q, m)[0]
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := serveUDP(t, func(q question) [][]byte {
				if q.IsEdns0() != nil {
					return [][]byte{denial(q)}
				}
				return addresses(q)
			})
			c := newClock()
			o := to(p)
			o.Now = c.Now
			r := open(t, o).Fresh()
			for range 3 {
				if _, err := ask(t, r, filters.TypeA, "a.example"); err != nil {
					t.Fatal(err)
				}
				c.pass(10 * time.Minute)
			}
			if got, want := p.extended(), "E--E-"; got != want {
				t.Errorf("asked %s, want %s: with EDNS, without, and with again when that is long ago", got, want)
			}
		})
	}
}

// extended tells which questions came with EDNS, by E, and which without.
func (p *peer) extended() (list string) {
	for _, q := range p.asked() {
		list += map[bool]string{true: "E", false: "-"}[q.IsEdns0() != nil]
	}
	return list
}

// TestAlwaysFormErr does not blame EDNS for a server that knows no other word.
func TestAlwaysFormErr(t *testing.T) {
	p := serveUDP(t, func(q question) [][]byte { return send(q, nothing(q, dns.RcodeFormatError, "")) })
	r := open(t, to(p)).Fresh()
	for range 2 {
		_, err := ask(t, r, filters.TypeA, "a.example")
		if !errors.Is(err, filters.ErrServFail) || !strings.Contains(err.Error(), "FORMERR") {
			t.Error(err)
		}
	}
	if got, want := p.extended(), "E-E-"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

// truncated replies over UDP that there is more over TCP, where reply speaks.
func truncated(reply manners) manners {
	return func(q question) [][]byte {
		if q.tcp {
			return reply(q)
		}
		m := answer(q, q.name()+" 300 A 192.0.2.66")
		m.Truncated = true
		return send(q, m)
	}
}

func TestTruncated(t *testing.T) {
	var m tally
	p := serve(t, truncated(addresses))
	o := to(p)
	o.Metrics, o.RandomCase = &m, true
	a, err := ask(t, open(t, o), filters.TypeA, "a.example")
	if err != nil || a.Addrs[0].String() != "192.0.2.1" {
		t.Errorf("%v, %v", a, err)
	}
	if m.get("mailweir_dns_exchanges_total", "udp", "truncated") != 1 || m.get("mailweir_dns_exchanges_total", "tcp", "ok") != 1 {
		t.Errorf("counted %v", m.values)
	}
}

// TestBadTCP goes to the next server when TCP brings nothing of use.
func TestBadTCP(t *testing.T) {
	for what, reply := range map[string]manners{
		"hangs up":       mute,
		"half a length":  func(question) [][]byte { return [][]byte{{0}} },
		"half a message": func(q question) [][]byte { return [][]byte{addresses(q)[0][:20]} },
		"no length":      func(question) [][]byte { return [][]byte{{0, 0}} },
		"a header":       func(q question) [][]byte { return [][]byte{append([]byte{0, 12}, addresses(q)[0][2:14]...)} },
		"another id": func(q question) [][]byte {
			m := answer(q)
			m.Id++
			return send(q, m)
		},
		"another question": func(q question) [][]byte {
			m := answer(q)
			m.Question[0].Name = "b.example."
			return send(q, m)
		},
		"no records, truncated there too": func(q question) [][]byte {
			m := nothing(q, dns.RcodeSuccess, "")
			m.Truncated = true
			return send(q, m)
		},
		"garbage":  func(q question) [][]byte { return [][]byte{garbage["half a record"](q)} },
		"SERVFAIL": func(q question) [][]byte { return send(q, nothing(q, dns.RcodeServerFailure, "")) },
	} {
		t.Run(what, func(t *testing.T) {
			bad, good := serve(t, truncated(reply)), serveUDP(t, addresses)
			a, err := ask(t, open(t, to(bad, good)), filters.TypeA, "a.example")
			if err != nil || a.Addrs[0].String() != "192.0.2.1" {
				t.Errorf("with a second server that is in order: %v, %v", a, err)
			}
			if _, err := ask(t, open(t, to(bad)), filters.TypeA, "a.example"); !errors.Is(err, filters.ErrServFail) {
				t.Errorf("alone: %v", err)
			}
		})
	}
}

func TestTCPRefused(t *testing.T) {
	bad, good := serveUDP(t, truncated(mute)), serveUDP(t, addresses)
	if _, err := ask(t, open(t, to(bad, good)), filters.TypeA, "a.example"); err != nil {
		t.Errorf("with a second server that is in order: %v", err)
	}
	_, err := ask(t, open(t, to(bad)), filters.TypeA, "a.example")
	if !errors.Is(err, filters.ErrServFail) || !strings.Contains(err.Error(), "truncated over UDP") {
		t.Errorf("alone: %v", err)
	}
}

// TestOversized reads a reply that is larger than was asked for.
func TestOversized(t *testing.T) {
	p := serveUDP(t, says(manyRecords(100, "a.example. 300 A 192.0.2.%d")...))
	a, err := ask(t, open(t, to(p)), filters.TypeA, "a.example")
	if err != nil || len(a.Addrs) != 64 {
		t.Errorf("%d addresses, %v", len(a.Addrs), err)
	}
	p = serveUDP(t, says(manyRecords(250, "a.example. 300 A 192.0.2.%d")...))
	if _, err := ask(t, open(t, to(p)), filters.TypeA, "a.example"); !errors.Is(err, filters.ErrServFail) {
		t.Errorf("a reply that does not fit: %v", err)
	}
}

// TestAiling goes on to the next server when one fails. It is asked first again
// if it is only the name that it fails about.
func TestAiling(t *testing.T) {
	for _, test := range []struct{ rcode, again int }{
		{dns.RcodeServerFailure, 2},
		{dns.RcodeRefused, 1},
	} {
		first := serveUDP(t, func(q question) [][]byte { return send(q, nothing(q, test.rcode, "")) })
		second := serveUDP(t, addresses)
		r := open(t, to(first, second))
		for _, name := range []string{"a.example", "b.example"} {
			if _, err := ask(t, r, filters.TypeA, name); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(first.asked()); n != test.again {
			t.Errorf("%s: asked %d times, want %d", dns.RcodeToString[test.rcode], n, test.again)
		}
	}
}

// TestKilledServer kills the first server while questions go on, and brings it
// back.
func TestKilledServer(t *testing.T) {
	first, second := serveUDP(t, addresses), serveUDP(t, addresses)
	c := newClock()
	o := to(first, second)
	o.Now = c.Now
	r := open(t, o).Fresh()
	want := func(what string, inFirst, inSecond int) {
		t.Helper()
		if _, err := ask(t, r, filters.TypeA, "a.example"); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if a, b := len(first.asked()), len(second.asked()); a != inFirst || b != inSecond {
			t.Errorf("%s: asked %d and %d times, want %d and %d", what, a, b, inFirst, inSecond)
		}
	}
	want("both live", 1, 0)
	first.stop()
	want("the first is dead", 1, 1)
	if err := first.start(false); err != nil {
		t.Fatal(err)
	}
	want("the first is back, which nobody knows", 1, 2)
	c.pass(30 * time.Second)
	want("the first is tried again", 2, 2)
	first.stop()
	second.stop()
	if _, err := ask(t, r, filters.TypeA, "a.example"); !errors.Is(err, filters.ErrServFail) {
		t.Errorf("both dead: %v", err)
	}
	if err := second.start(false); err != nil {
		t.Fatal(err)
	}
	want("the second is back at once", 2, 3)
}
