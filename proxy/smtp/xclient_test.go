package smtp_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/smtp"
)

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestParseXClient(t *testing.T) {
	v4, v6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	for in, want := range map[string]smtp.XClient{
		"NAME=spike.example REVERSE_NAME=r.example ADDR=198.51.100.7 PORT=4711 PROTO=ESMTP HELO=cli.example LOGIN=joe DESTADDR=192.0.2.25 DESTPORT=25": {
			Has:  smtp.XName | smtp.XReverseName | smtp.XAddr | smtp.XPort | smtp.XProto | smtp.XHelo | smtp.XLogin | smtp.XDestAddr | smtp.XDestPort,
			Name: "spike.example", ReverseName: "r.example", Addr: v4, Port: 4711, Proto: "ESMTP", Helo: "cli.example", Login: "joe",
			Dest: netip.MustParseAddr("192.0.2.25"), DestPort: 25},
		"addr=ipv6:2001:DB8::7":                    {Has: smtp.XAddr, Addr: v6},
		"ADDR=IPV6:::ffff:198.51.100.7":            {Has: smtp.XAddr, Addr: v4},
		"DESTADDR=IPv6:2001:db8::7 DESTPORT=65535": {Has: smtp.XDestAddr | smtp.XDestPort, Dest: v6, DestPort: 65535},
		"PROTO=smtp PORT=1":                        {Has: smtp.XProto | smtp.XPort, Proto: "SMTP", Port: 1},
		"PROTO=eSMTP":                              {Has: smtp.XProto, Proto: "ESMTP"},
		"HELO=My+20PC LOGIN=j+C3+B6rg@a":           {Has: smtp.XHelo | smtp.XLogin, Helo: "My PC", Login: "jörg@a"},
		"HELO=[192.0.2.1]":                         {Has: smtp.XHelo, Helo: "[192.0.2.1]"},
		"NAME=[UNAVAILABLE] REVERSE_NAME=[TempUnavail]": {Has: smtp.XName | smtp.XReverseName,
			NameStatus: smtp.XUnavailable, ReverseNameStatus: smtp.XTempUnavail},
		"NAME=[TEMPUNAVAIL] REVERSE_NAME=[unavailable]": {Has: smtp.XName | smtp.XReverseName,
			NameStatus: smtp.XTempUnavail, ReverseNameStatus: smtp.XUnavailable},
		"ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE] DESTADDR=[unavailable] DESTPORT=[Unavailable]": {
			Has: smtp.XAddr | smtp.XPort | smtp.XHelo | smtp.XLogin | smtp.XDestAddr | smtp.XDestPort},
		"NAME=mx_1.EXAMPLE": {Has: smtp.XName, Name: "mx_1.EXAMPLE"},
	} {
		got, err := smtp.ParseXClient([]byte(in))
		if diff := cmp.Diff(want, got, sameAddr); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", in, err, diff)
		}
	}
}

func TestXClientGiven(t *testing.T) {
	x, err := smtp.ParseXClient([]byte("PORT=[UNAVAILABLE] LOGIN=joe"))
	if err != nil || !x.Given(smtp.XPort) || !x.Given(smtp.XLogin) || x.Given(smtp.XAddr) || x.Given(smtp.XDestPort) {
		t.Errorf("%+v, %v", x, err)
	}
}

func TestParseXClientRefuses(t *testing.T) {
	label := strings.Repeat("l", 64)
	for want, values := range map[string][]string{
		"bad NAME: not a host name": {"NAME=-a", "NAME=a-", "NAME=a..b", "NAME=a.", "NAME=.", "NAME=192.0.2.1", "NAME=1", "NAME=[192.0.2.1]",
			"NAME=a+20b", "NAME=+C3+BC.example", "NAME=a/b", "NAME=" + label, "NAME=<a>", "NAME=[UNAVAILABLE", "NAME=2001:db8::1"},
		"bad REVERSE_NAME: not a host name": {"REVERSE_NAME=a@b", "REVERSE_NAME=-"},
		"bad ADDR: neither": {"ADDR=a", "ADDR=198.51.100", "ADDR=198.51.100.07", "ADDR=2001:db8::7", "ADDR=IPV6:198.51.100.7", "ADDR=IPV6:",
			"ADDR=IPV6:fe80::1%eth0", "ADDR=[198.51.100.7]", "ADDR=[TEMPUNAVAIL]", "ADDR=IPV4:198.51.100.7", "ADDR=198.51.100.7:25"},
		"bad DESTADDR: neither": {"DESTADDR=mx.example", "DESTADDR=::1"},
		"bad PORT: not a number from 1 to 65535": {"PORT=0", "PORT=65536", "PORT=025", "PORT=-1", "PORT=+2B25",
			"PORT=25x", "PORT=0x19", "PORT=1_0", "PORT=[TEMPUNAVAIL]", "PORT=99999999999999999999"},
		"bad DESTPORT: not a number":                {"DESTPORT=0", "DESTPORT=x"},
		"bad PROTO: neither SMTP nor ESMTP":         {"PROTO=LMTP", "PROTO=[UNAVAILABLE]", "PROTO=ESMTPS"},
		"unknown attribute FOO":                     {"FOO=1", "NAME=a foo=b"},
		"unknown attribute IDENT":                   {"IDENT=1"},
		"HELO is there twice":                       {"HELO=a HELO=b", "HELO=a helo=a"},
		"bad HELO: its value is not printable":      {"HELO=a+0D+0AMAIL", "HELO=+00"},
		"bad LOGIN: its value is not printable":     {"LOGIN=a+0A", "LOGIN=+FF"},
		"syntax: NAME=value, separated by single s": {"", "NAME", "ADDR=192.0.2.1  PORT=1"},
	} {
		for _, in := range values {
			got, err := smtp.ParseXClient([]byte(in))
			if fault, ok := err.(smtp.Fault); !ok || !strings.HasPrefix(string(fault), want) || got != (smtp.XClient{}) {
				t.Errorf("%q: %+v, %v", in, got, err)
			}
		}
	}
}

// FuzzXClient holds that what is read can go into a header, a log or a command,
// and that the set tells of it.
func FuzzXClient(f *testing.F) {
	f.Add([]byte("NAME=spike.example ADDR=198.51.100.7 PORT=4711 PROTO=ESMTP HELO=cli.example LOGIN=joe"))
	f.Add([]byte("NAME=[UNAVAILABLE] ADDR=IPV6:::ffff:1.2.3.4 REVERSE_NAME=[TEMPUNAVAIL] DESTADDR=192.0.2.25 DESTPORT=25"))
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := smtp.ParseXClient(in)
		if err != nil {
			if !smtp.Printable(err.Error()) || x != (smtp.XClient{}) {
				t.Fatalf("%q, %+v", err, x)
			}
			return
		}
		for _, name := range []string{x.Name, x.ReverseName} {
			if name != "" && !smtp.HostName(name) {
				t.Fatalf("%q", name)
			}
		}
		for _, addr := range []netip.Addr{x.Addr, x.Dest} {
			if addr.Zone() != "" || addr.Is4In6() {
				t.Fatalf("%v", addr)
			}
		}
		named := x.Given(smtp.XName) && x.NameStatus == smtp.XKnown
		if !smtp.Printable(x.Helo+x.Login+x.Proto) || x.Has == 0 || named != (x.Name != "") ||
			!x.Given(smtp.XLogin) && x.Login != "" || !x.Given(smtp.XAddr) && x.Addr.IsValid() {
			t.Fatalf("%q: %+v", in, x)
		}
	})
}
