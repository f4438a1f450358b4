package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// shortChain is measured as milter, and at the gate.
const shortChain = `chain:
  - access: {deny: [192.0.2.0/24]}
  - helo: {}
  - verbs: {}
  - size: {max: 50MiB}
  - rcpt: {max: 1000}
`

// mailweirConfig has the default of everything but the numbers of sessions. It can
// be looked at.
const mailweirConfig = `hostname: relay.test.example
log: {level: info, format: json}
admin: {address: "unix:%s", pprof: true}
sessions: {max: 4000, max_per_client: 4000}
listeners:
  - name: mx
    address: %q
    upstream: {address: %q, max_connections: 4000, reuse: %t}
`

// mailweir configures it with the short chain.
func mailweir(file, addr, upstream string) ([]string, error) {
	text := fmt.Sprintf(mailweirConfig, adminOf(file), addr, upstream, false) + shortChain
	return []string{"serve", "--config", file}, os.WriteFile(file, []byte(text), 0o644)
}

// adminOf returns the socket at which whoever is configured by file can be looked
// at.
func adminOf(file string) string { return filepath.Join(filepath.Dir(file), "admin") }

// fullChain is that of a mail exchanger. No client is exempt from anything:
// those of the measurements are on loopback.
const fullChain = `  - access: {deny_files: [denied.txt]}
  - helo: {exempt: []}
  - verbs: {}
  - size: {max: 50MiB}
  - rcpt: {max: 1000, domains: [.test.example], relay_from: []}
  - dnsbl: {zones: [%s], exempt: [], threshold: 1, self_test_interval: 0s}
    action: enforce
  - rules: {file: rules.yaml}
`

// The lists and the rules of the full chain.
const (
	fullZones  = 4
	fullDenied = 100_000
	fullRules  = 50
)

// options are what differs between mailweirs with the full chain.
type options struct {
	reuse bool // connections to the upstream are kept
	body  bool // a rule reads all of the message
}

// full configures mailweir with the full chain.
func (n *names) full(o options) func(file, addr, upstream string) ([]string, error) {
	return func(file, addr, upstream string) ([]string, error) {
		rules := plausibleRules(fullRules)
		if o.body {
			rules += contentRule
		}
		// What the lists have said holds for the whole measurement.
		text := fmt.Sprintf(mailweirConfig, adminOf(file), addr, upstream, o.reuse) +
			fmt.Sprintf("dns: {servers: [%q], min_ttl: 1h}\nchain:\n", n.Addr) + fmt.Sprintf(fullChain, zones(fullZones))
		for name, text := range map[string]string{"denied.txt": networks(fullDenied), "rules.yaml": rules, filepath.Base(file): text} {
			if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(text), 0o644); err != nil {
				return nil, err
			}
		}
		return []string{"serve", "--config", file}, nil
	}
}

// networks returns a list file with n networks, the same each time: half of them
// IPv4, half IPv6. Some are next to the client, so that finding out that it is
// not there takes as long as it can.
func networks(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	seen := make(map[netip.Prefix]bool, n)
	for len(seen) < n {
		var p netip.Prefix
		switch len(seen) % 4 {
		case 0, 1: // 1.0.0.0 to 100.255.255.255
			i := random.Uint32()
			p = netip.PrefixFrom(netip.AddrFrom4([4]byte{1 + byte(i>>24)%100, byte(i >> 16), byte(i >> 8), byte(i)}), 24+8*(len(seen)%2))
		case 2: // 2001:db8::/32
			i := random.Uint32()
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), 64)
		case 3: // ::2 to ::ffff:ffff
			i := 2 + random.Uint32()>>1
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}), 128)
		}
		if p = p.Masked(); !seen[p] {
			seen[p] = true
			fmt.Fprintln(&b, p)
		}
	}
	return b.String()
}
