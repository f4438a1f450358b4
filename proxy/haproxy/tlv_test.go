package haproxy_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
)

// tlv is one value that follows the addresses.
func tlv(typ byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{typ}, uint16(len(value)))) + value
}

// ssl is the value that tells of TLS.
func ssl(client, verify byte, subs ...string) string {
	return tlv(0x20, string([]byte{client, 0, 0, 0, verify})+strings.Join(subs, ""))
}

const suite = "ECDHE-RSA-AES128-GCM-SHA256"

func TestReadTLS(t *testing.T) {
	version, cipher, cn := tlv(0x21, "TLSv1.3"), tlv(0x23, suite), tlv(0x22, "Jörg's phone")
	for _, c := range []struct {
		in   string
		want *filters.TLS
	}{
		{"", nil},
		{ssl(0, 0), nil},
		{ssl(6, 0, cn), nil},
		{ssl(1, 1, version), &filters.TLS{Version: "TLSv1.3"}},
		{ssl(1, 1, cipher, version), &filters.TLS{Version: "TLSv1.3", Cipher: suite}},
		{ssl(1, 0, version, cipher), &filters.TLS{Version: "TLSv1.3", Cipher: suite}}, // no certificate to verify
		{ssl(1, 0, version, cn), &filters.TLS{Version: "TLSv1.3"}},
		{ssl(7, 0, version, cipher, cn), &filters.TLS{Version: "TLSv1.3", Cipher: suite, Client: "Jörg's phone", Verified: true}},
		{ssl(5, 0, version, cn), &filters.TLS{Version: "TLSv1.3", Client: "Jörg's phone", Verified: true}},
		{ssl(3, 18, version, cn), &filters.TLS{Version: "TLSv1.3", Client: "Jörg's phone"}},
		{ssl(7, 0, version, tlv(0x24, "RSA-SHA256"), tlv(0x24, "twice"), tlv(0xf0, "")), &filters.TLS{Version: "TLSv1.3", Verified: true}},
		{ssl(7, 0, version, tlv(0x22, "a\r\nb")), &filters.TLS{Version: "TLSv1.3", Verified: true}},
		{ssl(7, 0, version, tlv(0x22, strings.Repeat("n", 256))), &filters.TLS{Version: "TLSv1.3", Verified: true}},
		{ssl(3, 1, version, tlv(0x28, "DER")), &filters.TLS{Version: "TLSv1.3", // printf DER | sha256sum
			Fingerprint: "bffd28c8eeb10a5e50cf17b58f477ea1803895ae69744e6eb53cbcc3bf427adb"}},
		{ssl(1, 1, version) + tlv(2, "mx.example"), &filters.TLS{Version: "TLSv1.3", ServerName: "mx.example"}},
	} {
		h := read(t, proxied(c.in))
		if diff := cmp.Diff(c.want, h.TLS); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
	}
}

func read(t *testing.T, in string) haproxy.Header {
	t.Helper()
	h, err := haproxy.Read(strings.NewReader(in))
	if err != nil {
		t.Errorf("%q: %v", in, err)
	}
	return h
}

// What a client made up itself cannot break its connection, and is not told.
func TestReadNames(t *testing.T) {
	for name, good := range map[string]bool{
		"mx.example": true, "MX_1.example": true, "localhost": true, "": false, "mx.example.": false, ".example": false,
		"a b": false, "a\r\nb": false, "a\x00": false, "192.0.2.1": false, "2001:db8::1": false, "mü.example": false,
		"-a.example": false, "a..b": false, strings.Repeat("a", 63) + ".b": true, strings.Repeat("a", 64) + ".b": false,
		strings.Repeat("a.", 127) + "b": true, strings.Repeat("a.", 127) + "bc": false,
	} {
		want := ""
		if good {
			want = name
		}
		if h := read(t, proxied(tlv(2, name))); h.ServerName != want {
			t.Errorf("%q: %q", name, h.ServerName)
		}
	}
	for id, good := range map[string]bool{
		"7F000001:8C36_00": true, strings.Repeat("i", 128): true, "": false, "a b": false, "\x01\x02": false, "ü": false, "a\n": false, "\x7f": false,
	} {
		want := ""
		if good {
			want = id
		}
		if h := read(t, proxied(tlv(5, id))); h.UniqueID != want {
			t.Errorf("%q: %q", id, h.UniqueID)
		}
	}
}

// TestChecksum compares with a checksum of the whole header, with zeros in its place.
func TestChecksum(t *testing.T) {
	table := crc32.MakeTable(crc32.Castagnoli)
	for _, place := range []string{"%s", "%s\x05\x00\x02id", "\x05\x00\x02id%s", "\x04\x00\x09paddingpa%s\xe0\x00\x00"} {
		blank := proxied(fmt.Sprintf(place, "\x03\x00\x04\x00\x00\x00\x00"))
		sum := crc32.Checksum([]byte(blank), table)
		good := proxied(fmt.Sprintf(place, tlv(3, string(binary.BigEndian.AppendUint32(nil, sum)))))
		read(t, good)
		for i := range addr4 {
			changed := []byte(good)
			changed[len(mark)+4+i] ^= 1
			refuses(t, string(changed), "checksum")
		}
		refuses(t, proxied(fmt.Sprintf(place, tlv(3, string(binary.BigEndian.AppendUint32(nil, sum^1))))), "checksum")
	}
}
