package relay_test

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// FuzzIdentity drives a session that may begin with a PROXY header, and whose
// client may say XCLIENT and STARTTLS, by any octets in any cuts. The client is
// never another than a listed peer has told, nothing is said in clear where
// TLS is due.
func FuzzIdentity(f *testing.F) {
	const v1, v2 = "PROXY TCP4 198.51.100.7 192.0.2.25 4711 25\r\n",
		"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c\xc6\x33\x64\x07\xc0\x00\x02\x19\x12\x67\x00\x19"
	for _, begin := range []string{"", v1, v2, v1 + v2, "PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n \x00\x00\x00"} {
		for _, rest := range []string{
			"EHLO c\r\n" + envelope + "DATA\r\n" + letter + ".\r\nQUIT\r\n",
			"EHLO c\r\nSTARTTLS\r\nMAIL FROM:<evil@x.example>\r\n", "EHLO c\r\nSTARTTLS\r\n\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
			"XCLIENT ADDR=192.0.2.7 LOGIN=joe\r\nEHLO c\r\nMAIL FROM:<a@x.example>\r\n" + v1, "XCLIENT ADDR=IPV6:2001:db8::1\r\nXCLIENT ADDR=127.0.0.1\r\n",
			"EHLO c\r\nBDAT 4\r\nNOOPAUTH PLAIN x\r\nPROXY x\r\n", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
		} {
			for _, flags := range []byte{0, 1, 3, 5, 7, 13, 20, 23} {
				f.Add([]byte(begin+rest), byte(0), flags)
				f.Add([]byte(begin+rest), byte(1), flags)
			}
		}
	}
	var o relay.Options
	encrypts(f, &o, nil)
	f.Fuzz(func(t *testing.T, client []byte, cut, flags byte) {
		p := newPlay(t, "")
		p.cut = int(cut)
		p.more = inOneGo(string(client), either(cut&1 != 0))
		saw := sees(t, &p.options)
		if flags&1 != 0 {
			proxied(&p.options)
		}
		if flags&2 != 0 {
			told(&p.options)
		}
		if flags&4 != 0 {
			p.options.Timeouts.Handshake = p.options.Timeouts.Command
			p.options.TLS = &relay.TLS{Config: o.TLS.Config, Implicit: flags&8 != 0, Require: flags&16 != 0}
		}
		p.run(t)
		saw.check(t, client, flags)
		p.checkClear(t)
	})
}

// check compares the clients that the chain was told of with those that it may
// have been told of.
func (f *seer) check(t *testing.T, sent []byte, flags byte) {
	own := netip.MustParseAddrPort("127.0.0.1:25")
	may := []netip.Addr{own.Addr()}
	if flags&1 != 0 {
		h, err := haproxy.Read(bytes.NewReader(sent))
		switch {
		case err != nil:
			may = nil
		case !h.Local:
			may = []netip.Addr{h.Source.Addr()}
		}
	}
	if trusted := listed("127.0.0.0/8", "198.51.100.0/24"); flags&2 != 0 && len(may) > 0 && trusted.Contains(may[0]) {
		may = append(may, addressesIn(string(sent))...)
	}
	implicit := flags&12 == 12
	for _, s := range f.seen {
		switch {
		case implicit:
			t.Fatalf("the chain is asked about %s without TLS", s.Client)
		case !slices.Contains(may, s.Client.Addr()):
			t.Fatalf("the chain is asked about %s, and may be about %v", s.Client, may)
		case s.TLS.Version != "" && flags&1 == 0:
			t.Fatalf("the chain is told of TLS %q", s.TLS.Version)
		case s.at == filters.Mail && flags&20 == 20 && s.TLS.Version == "":
			t.Fatal("the chain is asked about mail in clear")
		}
	}
}

// addressesIn returns all addresses that are told anywhere in what was sent.
func addressesIn(sent string) (list []netip.Addr) {
	for _, at := range xclient.FindAllStringIndex(sent, -1) {
		args, _, _ := strings.Cut(sent[at[1]:], "\r\n")
		if x, err := smtp.ParseXClient([]byte(strings.Trim(args, " \t"))); err == nil && x.Addr.IsValid() {
			list = append(list, x.Addr)
		}
	}
	return list
}

var xclient = regexp.MustCompile(`(?i)xclient`)

// checkClear checks that nothing is said in clear where TLS is due: after the
// reply to STARTTLS there may be an alert.
func (p *play) checkClear(t *testing.T) {
	heard := p.heard
	if p.options.TLS == nil {
		return
	}
	if !p.options.TLS.Implicit {
		_, after, found := bytes.Cut(heard, []byte("220 2.0.0 Ready to start TLS\r\n"))
		if !found {
			return
		}
		heard = after
	}
	if len(heard) > 0 && heard[0] != 0x15 {
		t.Errorf("in clear, where TLS is due, the client hears %q", heard)
	}
}
