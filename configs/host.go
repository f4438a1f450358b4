package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mailweir/mailweir/rules/strict"
)

// DNS is how names are looked up.
type DNS struct {
	Servers        []NameServer  `yaml:"servers" doc:"the name servers to ask, by address, with a port if it is not 53; those of /etc/resolv.conf if there are none"`
	AttemptTimeout time.Duration `yaml:"attempt_timeout" min:"10ms" max:"1m" doc:"longest wait for one answer of one server"`
	Timeout        time.Duration `yaml:"timeout" min:"10ms" max:"1m" doc:"longest wait for an answer of any server"`
	Tries          int           `yaml:"tries" min:"1" max:"10" doc:"how often each server is asked"`
	CacheEntries   int           `yaml:"cache_entries" min:"1000" max:"10000000" doc:"most answers that are remembered"`
	MinTTL         time.Duration `yaml:"min_ttl" min:"1s" max:"24h" doc:"how long an answer is remembered at least, whatever it says itself"`
	MaxTTL         time.Duration `yaml:"max_ttl" min:"1s" max:"168h" doc:"how long an answer is remembered at most"`
	RandomCase     bool          `yaml:"random_case" doc:"ask in letters of random case, and take no answer in others, so that answers are harder to forge"`
}

// Check holds the settings to each other.
func (d *DNS) Check(r *strict.Report) {
	if d.AttemptTimeout > d.Timeout {
		r.Problem("attempt_timeout", fmt.Sprintf("%s is longer than the timeout of %s", duration(d.AttemptTimeout), duration(d.Timeout)), "")
	}
	if d.MinTTL > d.MaxTTL {
		r.Problem("min_ttl", fmt.Sprintf("%s is longer than the max_ttl of %s", duration(d.MinTTL), duration(d.MaxTTL)), "")
	}
	if len(d.Servers) > maxNameServers {
		r.Problem("servers", fmt.Sprintf("want at most %d, got %d", maxNameServers, len(d.Servers)), "")
	}
}

const (
	maxNameServers = 16
	dnsPort        = 53 // RFC 1035 section 4.2
)

// NameServer is the address of a name server, with its port.
type NameServer netip.AddrPort

var errNameServer = errors.New("want the address of a name server, such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353")

// UnmarshalText reads an address with or without a port.
func (n *NameServer) UnmarshalText(text []byte) error {
	at, err := netip.ParseAddrPort(string(text))
	if err != nil {
		addr, err := netip.ParseAddr(strings.Trim(string(text), "[]"))
		if err != nil {
			return fmt.Errorf("%w, got %q", errNameServer, text)
		}
		at = netip.AddrPortFrom(addr, dnsPort)
	}
	if at.Port() == 0 || at.Addr().IsUnspecified() {
		return fmt.Errorf("%w, got %q", errNameServer, text)
	}
	*n = NameServer(at)
	return nil
}

// MarshalText spells the address, and the port if it is not that of DNS.
func (n NameServer) MarshalText() ([]byte, error) {
	at := netip.AddrPort(n)
	if at.Port() == dnsPort {
		return at.Addr().MarshalText()
	}
	return at.MarshalText()
}

// State is what is remembered beyond sessions, such as which clients have shown
// themselves to be mail servers.
type State struct {
	File    string `yaml:"file" doc:"a file to keep what is remembered, so that it outlives a restart; empty to forget it then; a relative name starts where this file is"`
	Entries int    `yaml:"entries" min:"1000" max:"10000000" doc:"most entries that are remembered"`
}

// StateFile returns the name of the state file, "" for none.
func (c *Config) StateFile() string {
	return c.Path(c.State.File)
}
