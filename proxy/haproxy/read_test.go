package haproxy_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/haproxy"
)

var compare = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

const (
	mark  = "\r\n\r\n\x00\r\nQUIT\n"
	after = "EHLO client.example\r\n"
	addr4 = "\xc6\x33\x64\x07\xc0\x00\x02\x19\x12\x67\x00\x19" // 198.51.100.7:4711 to 192.0.2.25:25
	addr6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x25\x12\x67\x00\x19"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x07" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x19\x12\x67\x00\x19"
	line4 = "PROXY TCP4 198.51.100.7 192.0.2.25 4711 25\r\n"
)

var (
	from4 = netip.MustParseAddrPort("198.51.100.7:4711")
	to4   = netip.MustParseAddrPort("192.0.2.25:25")
	from6 = netip.MustParseAddrPort("[2001:db8::7]:4711")
	to6   = netip.MustParseAddrPort("[2001:db8::25]:25")
)

// block is a header of version 2.
func block(command, protocol byte, parts ...string) string {
	rest := strings.Join(parts, "")
	size := binary.BigEndian.AppendUint16(nil, uint16(len(rest)))
	return mark + string([]byte{command, protocol}) + string(size) + rest
}

// proxied is a header of version 2 for a client of IPv4.
func proxied(tlvs ...string) string { return block(0x21, 0x11, addr4, strings.Join(tlvs, "")) }

// ways are how octets may arrive.
var ways = map[string]func(io.Reader) io.Reader{
	"at once":    func(r io.Reader) io.Reader { return r },
	"one by one": iotest.OneByteReader,
	"by halves":  iotest.HalfReader,
	"with EOF":   iotest.DataErrReader,
}

var local = haproxy.Header{Local: true}

func TestRead(t *testing.T) {
	v4 := haproxy.Header{Source: from4, Dest: to4}
	v6 := haproxy.Header{Source: from6, Dest: to6}
	zero := haproxy.Header{Source: netip.MustParseAddrPort("[::]:0"), Dest: netip.MustParseAddrPort("[::1]:65535")}
	for _, c := range []struct {
		in   string
		want haproxy.Header
	}{
		{line4, v4},
		{"PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", haproxy.Header{Source: netip.MustParseAddrPort("1.1.1.1:0"), Dest: netip.MustParseAddrPort("2.2.2.2:1")}},
		{"PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:0025 4711 25\r\n", v6},
		{"PROXY TCP6 :: ::1 0 65535\r\n", zero},
		{"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:c000:219 4711 25\r\n", v4},
		{"PROXY UNKNOWN\r\n", local},
		{"PROXY UNKNOWN a\r\n", local},
		{"PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", local}, // 107 octets
		{proxied(), v4},
		{block(0x21, 0x21, addr6), v6},
		{block(0x21, 0x21, mapped), v4},
		{proxied("\x04\x00\x00\x04\x00\x01x\xee\x00\x03abc\x30\x00\x02ns\x01\x00\x04smtp"), v4},
		{block(0x20, 0), local},
		{block(0x20, 0x11, addr4), local},
		{block(0x20, 0x11, "short"), local},
		{block(0x20, 0xff, strings.Repeat("\xff", 4096)), local},
	} {
		for name, way := range ways {
			rest := way(strings.NewReader(c.in + after))
			got, err := haproxy.Read(rest)
			if diff := cmp.Diff(c.want, got, compare); err != nil || diff != "" {
				t.Errorf("%q %s: %v\n%s", c.in, name, err, diff)
			}
			if left, _ := io.ReadAll(rest); string(left) != after {
				t.Errorf("%q %s: %q is left", c.in, name, left)
			}
		}
		if !haproxy.IsHeader([]byte(c.in)) {
			t.Errorf("%q is not taken for a header", c.in)
		}
	}
}

func TestReadLineRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"PROXY TCP4 198.51.100.07 192.0.2.25 4711 25\r\n":                  "leading zero",
		"PROXY TCP4 198.51.100.7 192.0.02.25 4711 25\r\n":                  "leading zero",
		"PROXY TCP4 198.51.100.256 192.0.2.25 4711 25\r\n":                 "address",
		"PROXY TCP4 198.51.100 192.0.2.25 4711 25\r\n":                     "address",
		"PROXY TCP4 198.51.100.7 192.0.2.25 04711 25\r\n":                  "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 025\r\n":                  "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 65536 25\r\n":                  "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 99999999999999999999\r\n": "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 +4711 25\r\n":                  "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 -1 25\r\n":                     "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 \r\n":                     "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 0x19\r\n":                 "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 2_5\r\n":                  "port",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 25 \r\n":                  "",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 25 x\r\n":                 "",
		"PROXY TCP4  198.51.100.7 192.0.2.25 4711 25\r\n":                  "",
		"PROXY  TCP4 198.51.100.7 192.0.2.25 4711 25\r\n":                  "",
		"PROXY TCP4 198.51.100.7\t192.0.2.25 4711 25\r\n":                  "",
		"PROXY tcp4 198.51.100.7 192.0.2.25 4711 25\r\n":                   "",
		"PROXY TCP5 198.51.100.7 192.0.2.25 4711 25\r\n":                   "",
		"PROXY UDP4 198.51.100.7 192.0.2.25 4711 25\r\n":                   "",
		"PROXY TCP4 2001:db8::7 192.0.2.25 4711 25\r\n":                    "address",
		"PROXY TCP4 198.51.100.7 2001:db8::25 4711 25\r\n":                 "address",
		"PROXY TCP4 ::ffff:1.2.3.4 192.0.2.25 4711 25\r\n":                 "address",
		"PROXY TCP6 198.51.100.7 192.0.2.25 4711 25\r\n":                   "address",
		"PROXY TCP6 2001:db8::7 192.0.2.25 4711 25\r\n":                    "address",
		"PROXY TCP6 fe80::7%eth0 2001:db8::25 4711 25\r\n":                 "address",
		"PROXY TCP6 [2001:db8::7] 2001:db8::25 4711 25\r\n":                "address",
		"PROXY TCP6 2001:db8::7::1 2001:db8::25 4711 25\r\n":               "address",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711\r\n":                      "",
		"PROXY TCP4\r\n":   "too short",
		"PROXY \r\n":       "too short",
		"PROXY UNKNOWN \n": "bare LF",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 25\n":      "bare LF",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 25\rX":     "bare CR",
		"PROXY TCP4 198.51.100.7 192.0.2.25 4711 25\r\r\n":  "bare CR",
		"PROXY UNKNOWN a\rb\r\n":                            "bare CR",
		"PROXY UNKNOWNS\r\n":                                "",
		"PROXY unknown\r\n":                                 "",
		"PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n": "107",
		"PROXY UNKNOWN " + strings.Repeat("f", 500):         "107",
		"PROXY TCP4 " + strings.Repeat("1", 500):            "107",
	} {
		refuses(t, in, want)
	}
}

func TestReadBlockRefuses(t *testing.T) {
	for in, want := range map[string]string{
		block(0x11, 0x11, addr4):                                               "unknown version 1",
		block(0x01, 0x11, addr4):                                               "unknown version 0",
		block(0x31, 0x11, addr4):                                               "unknown version 3",
		block(0x22, 0x11, addr4):                                               "unknown command 2",
		block(0x2f, 0x11, addr4):                                               "unknown command 15",
		block(0x21, 0):                                                         "AF_UNSPEC",
		block(0x21, 0, addr4):                                                  "AF_UNSPEC",
		block(0x21, 0x10, addr4):                                               "0x10",
		block(0x21, 0x01, addr4):                                               "0x01",
		block(0x21, 0x13, addr4):                                               "0x13",
		block(0x21, 0x41, addr4):                                               "0x41",
		block(0x21, 0xff, addr4):                                               "0xff",
		block(0x21, 0x12, addr4):                                               "UDP",
		block(0x21, 0x22, addr6):                                               "UDP",
		block(0x21, 0x31, strings.Repeat("\x00", 216)):                         "UNIX",
		block(0x21, 0x32, strings.Repeat("\x00", 216)):                         "UNIX",
		block(0x21, 0x11):                                                      "too short",
		block(0x21, 0x11, addr4[:11]):                                          "too short",
		block(0x21, 0x21, addr6[:35]):                                          "too short",
		block(0x21, 0x21, addr4):                                               "too short",
		block(0x21, 0x11, addr4, strings.Repeat("\x04", 4096)):                 "4108",
		block(0x20, 0, strings.Repeat("\x00", 4097)):                           "4097",
		proxied("\x01"):                                                        "cut off",
		proxied("\x01\x00"):                                                    "cut off",
		proxied("\x01\x00\x01"):                                                "beyond the end",
		proxied("\x04\xff\xffx"):                                               "beyond the end",
		proxied("\x01\x00\x04smtp", "\x02\x00\x05host"):                        "beyond the end",
		proxied("\x05\x00\x81" + strings.Repeat("i", 129)):                     "unique ID",
		proxied("\x05\x00\x01a\x05\x00\x01b"):                                  "two values of type 0x05",
		proxied("\x02\x00\x03a.b\x02\x00\x03c.d"):                              "two values of type 0x02",
		proxied("\x03\x00\x03abc"):                                             "checksum",
		proxied("\x03\x00\x05abcde"):                                           "checksum",
		proxied("\x03\x00\x04abcd"):                                            "checksum",
		proxied("\x20\x00\x04\x01\x00\x00\x00"):                                "4 octets",
		proxied("\x20\x00\x05\x01\x00\x00\x00\x00"):                            "TLS value", // no version
		proxied("\x20\x00\x08\x01\x00\x00\x00\x00\x21\x00\x01"):                "TLS value",
		proxied("\x20\x00\x08\x01\x00\x00\x00\x00\x21\x00\x00"):                "TLS value",
		proxied("\x20\x00\x09\x01\x00\x00\x00\x00\x21\x00\x01 "):               "not a name",
		proxied("\x20\x00\x09\x01\x00\x00\x00\x00\x21\x00\x01\n"):              "not a name",
		proxied("\x20\x00\x0d\x01\x00\x00\x00\x00\x21\x00\x01a\x21\x00\x01b"):  "two of type 0x21",
		proxied("\x20\x00\x0d\x01\x00\x00\x00\x00\x21\x00\x01a\x23\x00\x01\r"): "not a name",
		proxied("\x20\x00\x49\x01\x00\x00\x00\x00\x21\x00\x41" + strings.Repeat("v", 65)): "not a name",
	} {
		refuses(t, in, want)
	}
}

// refuses holds a header to be refused, for what it says and not because the
// connection has ended, in an error that can be logged.
func refuses(t *testing.T, in, want string) {
	t.Helper()
	for name, way := range ways {
		got, err := haproxy.Read(way(strings.NewReader(in + after)))
		if err == nil || errors.Is(err, haproxy.ErrNone) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q %s: %+v, %v", in, name, got, err)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, want) || !strings.HasPrefix(text, "PROXY header: ") || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("%q %s: %q, want something about %q", in, name, text, want)
		}
	}
}

func TestReadNone(t *testing.T) {
	for _, in := range []string{"EHLO x\r\n", "P", "PROXY", "PRQ", "PROXYTCP4 ", "Proxy TCP4 ", "proxy", "\x16\x03\x01", "\r\n", "\r\nQUIT",
		mark[:11] + "\r", "QUIT\r\n", "\x00", " PROXY "} {
		r := strings.NewReader(in)
		_, err := haproxy.Read(io.MultiReader(r, iotest.ErrReader(os.ErrDeadlineExceeded)))
		begins := strings.HasPrefix("PROXY ", in) || strings.HasPrefix(mark, in)
		if errors.Is(err, haproxy.ErrNone) == begins || errors.Is(err, os.ErrDeadlineExceeded) != begins {
			t.Errorf("%q: %v", in, err)
		}
		if haproxy.IsHeader([]byte(in)) {
			t.Errorf("%q is taken for a header", in)
		}
	}
	if _, err := haproxy.Read(strings.NewReader("")); !errors.Is(err, io.EOF) {
		t.Errorf("nothing: %v", err)
	}
}

// A header that ends early is refused wherever that is.
func TestReadTruncated(t *testing.T) {
	for _, in := range []string{line4, "PROXY UNKNOWN a\r\n", proxied("\x02\x00\x04host"), block(0x21, 0x21, addr6), block(0x20, 0, "rest")} {
		for n := 1; n < len(in); n++ {
			if got, err := haproxy.Read(strings.NewReader(in[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %+v, %v", in[:n], got, err)
			}
		}
	}
}
