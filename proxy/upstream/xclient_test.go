package upstream_test

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// postfixXCLIENT is how Postfix 3.7 offers it.
const postfixXCLIENT = "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT"

// usual is what is told of theClient besides its address and names.
const usual = " PROTO=ESMTP HELO=client.example PORT=4711 DESTADDR=198.51.100.25 DESTPORT=25"

// label is the longest part of a name, and long the longest name.
var (
	label = strings.Repeat("a", 63)
	long  = label + "." + label + "." + label + "." + strings.Repeat("a", 55) + ".example"
)

// xclientCases are clients, and the commands that tell of them.
var xclientCases = []struct {
	name    string
	offer   string
	change  func(*filters.Session)
	records string
	want    []string
}{
	{"nothing known", postfixXCLIENT, nil, "", []string{
		"XCLIENT ADDR=192.0.2.7" + usual + " NAME=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE]"}},
	{"few attributes", "XCLIENT ADDR NAME", nil, "", []string{"XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]"}},
	{"any case, unknown ones, twice", "xclient addr NEW name Addr", nil, "", []string{"XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]"}},
	{"IPv6", "XCLIENT ADDR PORT DESTADDR DESTPORT", func(s *filters.Session) {
		s.Client, s.Local = netip.MustParseAddrPort("[2001:db8::7%eth0]:1"), netip.MustParseAddrPort("[::ffff:198.51.100.25]:25")
	}, "", []string{"XCLIENT ADDR=IPV6:2001:db8::7 PORT=1 DESTADDR=198.51.100.25 DESTPORT=25"}},
	{"who has logged in", "XCLIENT ADDR LOGIN PROTO HELO", func(s *filters.Session) {
		s.AuthUser, s.ESMTP, s.Helo = "joe+x=1 é", false, "[192.0.2.7]"
	}, "", []string{"XCLIENT ADDR=192.0.2.7 LOGIN=joe+2Bx+3D1+20+C3+A9 PROTO=SMTP HELO=[192.0.2.7]"}},
	{"what cannot be told", "XCLIENT ADDR LOGIN HELO NAME PORT", func(s *filters.Session) {
		s.AuthUser, s.Helo, s.ClientName = "joe\r\nMAIL FROM:<>", strings.Repeat("+", 250), "evil\r\nname"
		s.Client = netip.AddrPort{}
	}, "", []string{"XCLIENT ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] NAME=[UNAVAILABLE]"}},
	{"a name that is known", "XCLIENT ADDR NAME REVERSE_NAME", func(s *filters.Session) { s.ClientName = "known.example" },
		"7.2.0.192.in-addr.arpa PTR other.example.",
		[]string{"XCLIENT ADDR=192.0.2.7 NAME=known.example REVERSE_NAME=known.example"}},
	{"a name that leads back", "XCLIENT ADDR NAME REVERSE_NAME", nil,
		"7.2.0.192.in-addr.arpa PTR a.example.\n7.2.0.192.in-addr.arpa PTR b.example.\nb.example A 192.0.2.7",
		[]string{"XCLIENT ADDR=192.0.2.7 NAME=b.example REVERSE_NAME=b.example"}},
	{"one that does not", "XCLIENT ADDR NAME REVERSE_NAME", nil, "7.2.0.192.in-addr.arpa PTR a.example.\na.example A 192.0.2.8",
		[]string{"XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] REVERSE_NAME=a.example"}},
	{"not known at the moment", "XCLIENT ADDR NAME REVERSE_NAME", nil, "7.2.0.192.in-addr.arpa PTR a.example.\na.example SERVFAIL",
		[]string{"XCLIENT ADDR=192.0.2.7 NAME=[TEMPUNAVAIL] REVERSE_NAME=a.example"}},
	{"no reverse at the moment", "XCLIENT ADDR NAME REVERSE_NAME", nil, "7.2.0.192.in-addr.arpa SERVFAIL",
		[]string{"XCLIENT ADDR=192.0.2.7 NAME=[TEMPUNAVAIL] REVERSE_NAME=[TEMPUNAVAIL]"}},
	{"a name that injects", "XCLIENT ADDR NAME REVERSE_NAME", nil,
		`7.2.0.192.in-addr.arpa PTR a\013\010RSET.example.` + "\n" + `a\013\010RSET.example A 192.0.2.7`,
		[]string{"XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE]"}},
	{"a name that is an address", "XCLIENT ADDR NAME REVERSE_NAME", nil, "7.2.0.192.in-addr.arpa PTR 192.0.2.99.\n192.0.2.99 A 192.0.2.7",
		[]string{"XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE]"}},
	{"several commands", postfixXCLIENT, func(s *filters.Session) { s.ClientName = long }, "", []string{
		"XCLIENT REVERSE_NAME=" + long,
		"XCLIENT ADDR=192.0.2.7" + usual + " NAME=" + long,
	}},
}

func TestXCLIENT(t *testing.T) {
	for _, c := range xclientCases {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, func(m *mta) {
				m.say("220 mx.example")
				m.answer("EHLO relay.example", "250-mx.example", "250-PIPELINING", "250 "+c.offer)
				for _, line := range c.want {
					m.answer(line, "220 mx.example")
				}
				m.answer("QUIT", "221 bye")
			})
			client := theClient()
			if c.change != nil {
				c.change(client)
			}
			var records []string
			if c.records != "" {
				records = []string{c.records}
			}
			behind(t, addr, upstream.Options{Identity: upstream.XCLIENT}, records...).opens(t, client)
			for _, line := range c.want {
				if len(line) > 510 {
					t.Errorf("a command of %d octets", len(line))
				}
			}
		})
	}
}

// xclientRefusals are what goes wrong with XCLIENT, and whose fault it is.
var xclientRefusals = []struct {
	name, offer, reply string
	identity, refused  bool
	words              string
}{
	{"not offered", "250 PIPELINING", "", true, false, "the upstream does not offer XCLIENT: set smtpd_authorized_xclient_hosts = 127.0.0.1 in Postfix"},
	{"offered without addresses", "250 XCLIENT NAME", "", true, false, "does not offer XCLIENT"},
	{"a prefix of another keyword", "250 XCLIENTS ADDR", "", true, false, "does not offer XCLIENT"},
	{"not allowed", "250 XCLIENT ADDR", "550 5.7.0 Error: insufficient authorization", true, false, "answered XCLIENT with 550 5.7.0 Error: insufficient authorization"},
	{"not understood", "250 XCLIENT ADDR", "501 5.5.4 Bad ADDR syntax", true, false, "501 5.5.4"},
	{"unknown", "250 XCLIENT ADDR", "502 5.5.1 what", true, false, "502"},
	{"the client is not welcome", "250 XCLIENT ADDR", "554 5.7.1 Client host blocked", false, true, "refuses the client: 554 5.7.1 Client host blocked"},
	{"the client is not welcome now", "250 XCLIENT ADDR", "421 4.7.0 Too many connections from 192.0.2.7", false, true, "refuses the client: 421 4.7.0"},
	{"nobody is welcome", "250 XCLIENT ADDR", "421 4.3.2 shutting down", false, false, "reply to XCLIENT: 421 4.3.2"},
	{"another success", "250 XCLIENT ADDR", "250 ok", false, false, "reply to XCLIENT: 250 ok"},
	{"no reply", "250 XCLIENT ADDR", "close", false, false, "XCLIENT: EOF"},
	{"half a reply", "250 XCLIENT ADDR", "220-half", false, false, "XCLIENT: unexpected EOF"},
	{"two replies", "250 XCLIENT ADDR", "220 one\r\n220 two", false, false, "XCLIENT: octets that nobody asked for"},
	{"EHLO is refused", "", "", false, false, "reply to EHLO: 502 no"},
	{"an endless reply to EHLO", strings.Repeat("250-XCLIENT ADDR\r\n", 10_000) + "250 XCLIENT ADDR", "", false, false, "EHLO: reply too long"},
	{"a long line of it", "250 XCLIENT ADDR" + strings.Repeat(" ADDR", 10_000), "", false, false, "EHLO: reply too long"},
	{"the reply's end is missing", "250-XCLIENT ADDR", "half", false, false, "EHLO: unexpected EOF"},
	{"codes that differ", "251 XCLIENT ADDR", "", false, false, "EHLO: malformed reply"},
}

func TestXCLIENTRefused(t *testing.T) {
	for _, c := range xclientRefusals {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, func(m *mta) {
				m.say("220 mx.example")
				if c.offer == "" {
					m.answer("EHLO relay.example", "502 no")
					return
				}
				m.hear("EHLO relay.example")
				io.WriteString(m.conn, "250-mx.example\r\n"+c.offer+"\r\n") // all of it, if that is wanted
				if c.reply == "half" {
					return
				}
				if c.reply == "" {
					m.over()
					return
				}
				m.hear("XCLIENT ADDR=192.0.2.7")
				if c.reply != "close" {
					m.say(c.reply)
				}
			})
			err := behind(t, addr, upstream.Options{Identity: upstream.XCLIENT}).fails(t, theClient(), c.words)
			var identity *upstream.IdentityError
			if errors.As(err, &identity) != c.identity {
				t.Errorf("an IdentityError: %v: %v", !c.identity, err)
			}
			if c.identity && (identity.Server != addr || identity.Identity != upstream.XCLIENT) {
				t.Errorf("%+v", identity)
			}
			var refused *upstream.RefusedError
			if errors.As(err, &refused) != c.refused {
				t.Errorf("a RefusedError: %v: %v", !c.refused, err)
			}
			if c.refused && refused.Server != addr {
				t.Errorf("%+v", refused)
			}
		})
	}
}
