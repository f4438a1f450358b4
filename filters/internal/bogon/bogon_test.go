package bogon_test

import (
	"net/netip"
	"testing"

	"github.com/mailweir/mailweir/filters/internal/bogon"
	"github.com/mailweir/mailweir/filters/ipset"
)

func TestContains(t *testing.T) {
	for addr, want := range map[string]bool{
		"0.0.0.0":                true,
		"10.1.2.3":               true,
		"100.64.0.1":             true,
		"100.128.0.1":            false,
		"127.0.0.1":              true,
		"169.254.1.1":            true,
		"172.15.255.255":         false,
		"172.31.255.255":         true,
		"192.0.0.8":              true,
		"192.0.2.1":              true,
		"192.168.1.1":            true,
		"198.19.0.1":             true,
		"198.51.100.1":           true,
		"203.0.113.1":            true,
		"224.0.0.1":              true,
		"255.255.255.255":        true,
		"8.8.8.8":                false,
		"192.0.3.1":              false,
		"223.255.255.255":        false,
		"::":                     true,
		"::1":                    true,
		"::ffff:10.0.0.1":        true,
		"::ffff:8.8.8.8":         false,
		"64:ff9b::808:808":       false,
		"100::1":                 true,
		"2001:db8::1":            true,
		"2001:4860:4860::8888":   false,
		"2a00:1450:4001::1":      false,
		"3fff::1":                true,
		"fd00::1":                true,
		"fe80::1":                true,
		"fe80::1%eth0":           true,
		"fec0::1":                true,
		"ff02::1":                true,
		"2606:2800:220:1::1":     false,
		"2001:0:53aa:64c:0:0::1": false,
	} {
		if got := bogon.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if bogon.Contains(netip.Addr{}) {
		t.Error("no address is in a network")
	}
}

// What is inside of sites is nowhere on the Internet.
func TestInsideIsContained(t *testing.T) {
	for _, n := range ipset.Inside() {
		if !bogon.Contains(n.Prefix.Addr()) {
			t.Errorf("%v", n.Prefix)
		}
	}
}
