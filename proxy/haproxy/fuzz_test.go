package haproxy_test

import (
	"bytes"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
)

// FuzzRead holds that a header is read the same however it arrives, to its last
// octet and no further, that it holds nothing but what can be logged, and that
// it can be told again.
func FuzzRead(f *testing.F) {
	for _, s := range []string{line4, "PROXY TCP6 ::ffff:1.2.3.4 :: 0 65535\r\n", "PROXY UNKNOWN x\r\n", proxied(), block(0x21, 0x21, mapped),
		block(0x20, 0, "rest"), proxied(tlv(2, "mx.example"), tlv(5, "id"), tlv(4, ""),
			ssl(7, 0, tlv(0x21, "TLSv1.3"), tlv(0x22, "c"), tlv(0x23, suite), tlv(0x28, "DER")))} {
		f.Add([]byte(s))
		f.Add([]byte(s + after))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		all := bytes.NewReader(in)
		h, err := haproxy.Read(all)
		single := iotest.OneByteReader(bytes.NewReader(in))
		again, againErr := haproxy.Read(single)
		if (err == nil) != (againErr == nil) {
			t.Fatalf("at once: %v\none by one: %v", err, againErr)
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q cannot be logged", err)
			}
			return
		}
		if diff := cmp.Diff(h, again, compare); diff != "" {
			t.Fatal(diff)
		}
		left, _ := io.ReadAll(single)
		if size := len(in) - len(left); all.Len() != len(left) || size < 15 || !haproxy.IsHeader(in) {
			t.Fatalf("%d octets are left at once, %d one by one", all.Len(), len(left))
		}
		retell(t, h)
	})
}

// retell writes a header and reads it again.
func retell(t *testing.T, h haproxy.Header) {
	t.Helper()
	for version := 1; version <= 2; version++ {
		wire, err := haproxy.Append(nil, version, h)
		if err != nil {
			t.Fatalf("%+v: %v", h, err)
		}
		want := h
		if version == 1 {
			want.TLS, want.ServerName, want.UniqueID = nil, "", ""
		} else if h.TLS != nil {
			tls := *h.TLS
			// Nobody can tell a fingerprint.
			tls.Fingerprint = ""
			want.TLS = &tls
		}
		got, err := haproxy.Read(bytes.NewReader(wire))
		if diff := cmp.Diff(want, got, compare); err != nil || diff != "" {
			t.Fatalf("version %d: %v\n%s", version, err, diff)
		}
	}
}

// FuzzAppend holds that whatever a header is made of, it can be read: with the
// same addresses, and of the rest what is good.
func FuzzAppend(f *testing.F) {
	f.Add([]byte{198, 51, 100, 7}, []byte{192, 0, 2, 25}, uint16(4711), "mx.example", "id", "TLSv1.3", suite, "c", true)
	f.Add(make([]byte, 16), []byte{192, 0, 2, 25}, uint16(0), "a b", "\n", "", "", "a\nb", false)
	f.Fuzz(func(t *testing.T, from, to []byte, port uint16, name, id, version, cipher, cn string, verified bool) {
		source, _ := netip.AddrFromSlice(from)
		dest, _ := netip.AddrFromSlice(to)
		in := haproxy.Header{Source: netip.AddrPortFrom(source, port), Dest: netip.AddrPortFrom(dest, 25), ServerName: name, UniqueID: id,
			TLS: &filters.TLS{Version: version, Cipher: cipher, Client: cn, Verified: verified}}
		wire, err := haproxy.Append(nil, 2, in)
		if err != nil {
			return
		}
		got, err := haproxy.Read(bytes.NewReader(wire))
		if err != nil {
			t.Fatal(err)
		}
		if got.Source.Addr() != source.Unmap() || got.Source.Port() != port || got.Dest.Addr() != dest.Unmap() {
			t.Fatalf("%+v", got)
		}
		if got.ServerName != "" && got.ServerName != name || got.UniqueID != "" && got.UniqueID != id {
			t.Fatalf("%+v", got)
		}
		if got.TLS != nil && (got.TLS.Version != version || got.TLS.Cipher != cipher || got.TLS.Verified != verified) {
			t.Fatalf("%+v", got.TLS)
		}
		retell(t, got)
	})
}
