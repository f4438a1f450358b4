package resolver_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/resolver"
)

// TestForged floods the resolver with packets that are no replies to its
// question, before the one that is.
func TestForged(t *testing.T) {
	lie := func(q question, change func(m *dns.Msg)) []byte {
		m := answer(q, q.name()+" 300 A 192.0.2.66")
		change(m)
		return send(q, m)[0]
	}
	cut := func(packet []byte, n int) []byte { return packet[:min(n, len(packet))] }
	forgeries := map[string]func(q question) []byte{
		"wrong id": func(q question) []byte { return lie(q, func(m *dns.Msg) { m.Id++ }) },
		"wrong name": func(q question) []byte {
			return lie(q, func(m *dns.Msg) { m.Question[0].Name = "b.example." })
		},
		"longer name": func(q question) []byte {
			return lie(q, func(m *dns.Msg) { m.Question[0].Name = "a." + q.name() })
		},
		"wrong type": func(q question) []byte {
			return lie(q, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA })
		},
		"wrong class": func(q question) []byte {
			return lie(q, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })
		},
		"two questions": func(q question) []byte {
			return lie(q, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })
		},
		"no question": func(q question) []byte { return lie(q, func(m *dns.Msg) { m.Question = nil }) },
		"a header with no such name": func(q question) []byte {
			return lie(q, func(m *dns.Msg) { m.Question, m.Answer, m.Rcode = nil, nil, dns.RcodeNameError })
		},
		"a question":     func(q question) []byte { return lie(q, func(m *dns.Msg) { m.Response = false }) },
		"another opcode": func(q question) []byte { return lie(q, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }) },
		"nothing":        func(question) []byte { return nil },
		"an octet":       func(q question) []byte { return cut(lie(q, func(*dns.Msg) {}), 1) },
		"half a header":  func(q question) []byte { return cut(lie(q, func(*dns.Msg) {}), 6) },
		"a header alone": func(q question) []byte { return cut(lie(q, func(*dns.Msg) {}), 12) },
		"half a question": func(q question) []byte {
			return cut(lie(q, func(*dns.Msg) {}), 18)
		},
	}
	for what, forge := range forgeries {
		t.Run(what, func(t *testing.T) {
			const flood = 20
			var m tally
			p := serveUDP(t, func(q question) (out [][]byte) {
				for range flood {
					out = append(out, forge(q))
				}
				return append(out, addresses(q)...)
			})
			o := to(p)
			o.RandomCase, o.Metrics = true, &m
			a, err := ask(t, open(t, o), filters.TypeA, "a.example")
			if err != nil || len(a.Addrs) != 1 || a.Addrs[0].String() != "192.0.2.1" {
				t.Errorf("%v, %v", a, err)
			}
			if n := m.get("mailweir_dns_exchanges_total", "udp", "mismatch"); n != flood {
				t.Errorf("%v packets counted as forged, want %d", n, flood)
			}
		})
	}
}

// TestOtherSource sends the forgery from another address than the server's.
func TestOtherSource(t *testing.T) {
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := serveUDP(t, func(q question) [][]byte {
		other.WriteTo(send(q, answer(q, q.name()+" 300 A 192.0.2.66"))[0], q.client)
		return addresses(q)
	})
	a, err := ask(t, open(t, to(p)), filters.TypeA, "a.example")
	if err != nil || a.Addrs[0].String() != "192.0.2.1" {
		t.Errorf("%v, %v", a, err)
	}
}

// TestUnlikeQuestions holds that ids, ports and cases differ.
func TestUnlikeQuestions(t *testing.T) {
	p := serveUDP(t, addresses)
	o := to(p)
	o.RandomCase = true
	r := open(t, o)
	const rounds = 40
	for range rounds {
		if _, err := ask(t, r.Fresh(), filters.TypeA, "quite-a-long-name.example"); err != nil {
			t.Fatal(err)
		}
	}
	ids, names, ports := map[uint16]bool{}, map[string]bool{}, map[string]bool{}
	for _, q := range p.asked() {
		ids[q.Id], names[q.name()], ports[q.client.String()] = true, true, true
	}
	for what, n := range map[string]int{"ids": len(ids), "names": len(names), "ports": len(ports)} {
		if n < rounds-5 {
			t.Errorf("only %d different %s in %d questions", n, what, rounds)
		}
	}
}

// lower makes a server reply in lower case: over UDP, or over TCP too.
func lower(tcpToo bool) manners {
	return func(q question) [][]byte {
		m := answer(q, q.name()+" 300 A 192.0.2.1")
		if !q.tcp || tcpToo {
			m.Question[0].Name = strings.ToLower(q.name())
		}
		return send(q, m)
	}
}

// transports tells how the questions came: in random case, or plain.
func transports(list []question) string {
	var words []string
	for _, q := range list {
		word := "udp"
		if q.tcp {
			word = "tcp"
		}
		if q.name() == strings.ToLower(q.name()) {
			word += " plain"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

const longName = "a-name-with-very-many-letters-in-it.example"

func TestCaseNotKept(t *testing.T) {
	for _, test := range []struct {
		what   string
		reply  manners
		want   string
		logged int
	}{
		{"nowhere", lower(true), "udp, tcp, udp plain, udp plain, udp plain, udp plain", 1},
		{"over UDP", lower(false), "udp, tcp, udp, tcp, udp, tcp, udp plain, udp plain", 1},
	} {
		t.Run(test.what, func(t *testing.T) {
			var j journal
			p := serve(t, test.reply)
			o := to(p)
			o.RandomCase, o.Log = true, j.log()
			r := open(t, o)
			for range 5 {
				if a, err := ask(t, r.Fresh(), filters.TypeA, longName); err != nil || len(a.Addrs) != 1 {
					t.Fatal(a, err)
				}
			}
			if got := transports(p.asked()); got != test.want {
				t.Errorf("asked by %s\nwant %s", got, test.want)
			}
			if n := strings.Count(j.String(), "does not keep the case"); n != test.logged {
				t.Errorf("logged %d times, want %d:\n%s", n, test.logged, j.String())
			}
		})
	}
}

// TestForgedCase sends a forgery in other letters now and then, which must not
// persuade the resolver to give up the case.
func TestForgedCase(t *testing.T) {
	var round atomic.Int32
	p := serve(t, func(q question) [][]byte {
		if q.tcp || round.Add(1)%3 == 0 {
			return addresses(q)
		}
		m := answer(q, q.name()+" 300 A 192.0.2.66")
		m.Question[0].Name = strings.ToLower(q.name())
		return append(send(q, m), addresses(q)...)
	})
	o := to(p)
	o.RandomCase = true
	r := open(t, o)
	for range 9 {
		a, err := ask(t, r.Fresh(), filters.TypeA, longName)
		if err != nil || a.Addrs[0].String() != "192.0.2.1" {
			t.Fatal(a, err)
		}
	}
	if got := transports(p.asked()); strings.Contains(got, "plain") {
		t.Errorf("gave up the case: %s", got)
	}
}

func TestCaseNotKeptWithoutTCP(t *testing.T) {
	p := serveUDP(t, lower(true))
	o := to(p)
	o.RandomCase = true
	_, err := ask(t, open(t, o), filters.TypeA, longName)
	if !errors.Is(err, filters.ErrServFail) || !strings.Contains(err.Error(), "dns: {random_case: false}") {
		t.Errorf("error %v does not tell what to set", err)
	}
	o.RandomCase = false
	if _, err := ask(t, open(t, o), filters.TypeA, longName); err != nil {
		t.Errorf("with random_case off: %v", err)
	}
}

// TestUpperCaseReply accepts any case where none was asked for.
func TestUpperCaseReply(t *testing.T) {
	p := serveUDP(t, func(q question) [][]byte {
		m := answer(q, q.name()+" 300 A 192.0.2.1")
		m.Question[0].Name = strings.ToUpper(q.name())
		return send(q, m)
	})
	if _, err := ask(t, open(t, to(p)), filters.TypeA, "a.example"); err != nil {
		t.Error(err)
	}
}

// garbage are replies with the right question, and what cannot be read after
// it.
var garbage = map[string]func(q question) []byte{
	"records that are missing": func(q question) []byte {
		return tail(q, 3, []byte{0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 1})
	},
	"data beyond the end": func(q question) []byte {
		return tail(q, 1, []byte{0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 1, 0, 0xff, 0xff, 192, 0, 2, 1})
	},
	"half a record":  func(q question) []byte { return tail(q, 1, []byte{0xc0, 0x0c, 0, 1}) },
	"a bad label":    func(q question) []byte { return tail(q, 1, []byte{0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) },
	"half a pointer": func(q question) []byte { return tail(q, 1, []byte{0xc0}) },
	"no records":     func(q question) []byte { return tail(q, 65535, nil) },
	"an owner that points to itself": func(q question) []byte {
		at := len(tail(q, 0, nil))
		return tail(q, 1, []byte{0xc0 | byte(at>>8), byte(at), 0, 12, 0, 1, 0, 0, 1, 0, 0, 2, 0xc0, 0x0c})
	},
	"a name that points to itself": func(q question) []byte {
		at := len(tail(q, 0, nil)) + 12
		return tail(q, 1, []byte{0xc0, 0x0c, 0, 12, 0, 1, 0, 0, 1, 0, 0, 2, 0xc0 | byte(at>>8), byte(at)})
	},
}

// tail is a reply that claims to have so many records, and has those octets.
func tail(q question, count uint16, data []byte) []byte {
	packet, err := answer(q).Pack()
	if err != nil {
		panic(err)
	}
	binary.BigEndian.PutUint16(packet[6:], count)
	return frame(q, append(packet, data...))
}

func TestGarbage(t *testing.T) {
	for what, reply := range garbage {
		t.Run(what, func(t *testing.T) {
			var m tally
			bad := serveUDP(t, func(q question) [][]byte { return [][]byte{reply(q)} })
			good := serveUDP(t, addresses)
			o := to(bad, good)
			o.Metrics = &m
			if _, err := ask(t, open(t, o), filters.TypeA, "a.example"); err != nil {
				t.Errorf("with a second server that is in order: %v", err)
			}
			if n := m.get("mailweir_dns_exchanges_total", "udp", "garbage"); n != 1 {
				t.Errorf("counted %v times", n)
			}
			if _, err := ask(t, open(t, to(bad)), filters.TypeA, "a.example"); !errors.Is(err, filters.ErrServFail) {
				t.Errorf("alone: %v", err)
			}
		})
	}
}

// TestBomb holds what a reply of 64 KiB costs to read at the most: a record of
// nothing but names, each of them two octets that point to a pointer, and so
// on, to a long name. Replies are read one at a time for that reason.
func TestBomb(t *testing.T) {
	q, err := resolver.NewQuestion("a.example", filters.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	packet := slices.Concat(q.Wire()[:2], []byte{0x80, 0, 0, 1, 0, 2, 0, 0, 0, 0}, q.Wire()[12:12+len("a.example")+2+4])
	add := func(typ uint16, data []byte) {
		packet = append(packet, 0xc0, 12, byte(typ>>8), byte(typ), 0, 1, 0, 0, 0, 1, byte(len(data)>>8), byte(len(data)))
		packet = append(packet, data...)
	}
	base := len(packet) + 12
	target := base
	names := []byte(strings.Repeat("\x3d"+strings.Repeat("\x01", 61), 4) + "\x00")
	for range 120 {
		next := base + len(names)
		names = append(names, 0xc0|byte(target>>8), byte(target))
		target = next
	}
	add(65280, names) // a type for private use
	pointer := []byte{0xc0 | byte(target>>8), byte(target)}
	add(dns.TypeHIP, append([]byte{1, 1, 0, 1, 0, 0}, bytes.Repeat(pointer, (65535-len(packet)-18)/2)...))

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, detail, ok, err := q.Read(packet)
	runtime.ReadMemStats(&after)
	if !ok || !errors.Is(err, filters.ErrNoData) {
		t.Errorf("%q, %v, %v", detail, ok, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used < 16<<20 || used > 48<<20 {
		t.Errorf("%d octets used for %d: no bomb, or too much", used, len(packet))
	}
}
