package configs

import (
	"errors"
	"time"
)

// Upstream is a group of MTAs that has a name, for listeners and routes to
// share.
type Upstream struct {
	Name  string `yaml:"name" required:"true" doc:"what listeners and routes call the group; unique"`
	Group `yaml:",inline"`
}

// UpstreamRef is a group as a listener or a route has it: called by its name,
// or spelt out. Once the configuration is read, both forms have the settings.
type UpstreamRef struct {
	Name   string `yaml:"-"` // the group's; one that is spelt out has a name that no file can give: "listener mx", "listener mx route example.org"
	Called bool   `yaml:"-"` // by its name
	Group  `yaml:",inline"`
}

// UnmarshalText reads the name of a group.
func (r *UpstreamRef) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New(`want the name of a group, or a map such as {address: "192.0.2.25:25"}`)
	}
	r.Name, r.Called = string(text), true
	return nil
}

// Group is one or several MTAs that serve the same recipients, and how to talk
// to them. Once the configuration is read, all of them are in Servers, and
// Address is not used.
type Group struct {
	Address        ServerAddress `yaml:"address" doc:"the MTA: host:port, unix:/path, srv:_smtp._tcp.example.org for the hosts and ports of SRV records, or mx:example.org for the mail exchangers of a domain, mx:example.org:2525 if not at port 25"`
	Servers        []Server      `yaml:"servers" doc:"several MTAs in place of address, each with its address and a weight of 1 to 1000, 1 by default: [{address: \"mx1.example.org:25\", weight: 3}, {address: \"192.0.2.2:25\"}]"`
	Balance        Balance       `yaml:"balance" doc:"which of several MTAs that are alive a session gets: order, the first; weight, one at random by weight; least_sessions, the one with the fewest sessions for its weight"`
	Protocol       Protocol      `yaml:"protocol" doc:"what the MTA speaks: smtp, or lmtp (RFC 2033), whose replies to the text of several recipients become one"`
	Identity       Identity      `yaml:"identity" doc:"how the upstream learns the client's address: none, it sees ours; xclient, by the command of Postfix; xforward, by that of Postfix which is for its log only; proxy, by haproxy's header; transparent, we connect from the client's address, which takes root and routes back to us"`
	ProxyVersion   int           `yaml:"proxy_version" min:"1" max:"2" doc:"version of the header of identity proxy"`
	ClientName     bool          `yaml:"client_name" doc:"look up the client's name, and tell it by identity xclient or xforward if it leads back to the client's address"`
	TLS            UpstreamTLS   `yaml:"tls" doc:"encryption of the connections to the upstream"`
	MaxConnections int           `yaml:"max_connections" min:"1" max:"1000000" doc:"most connections to each MTA at once; clients beyond are told 421"`
	Reuse          bool          `yaml:"reuse" doc:"keep a connection for the next session, with identity none or xforward"`
	ReuseIdle      time.Duration `yaml:"reuse_idle" min:"1s" max:"5m" doc:"how long to keep a connection that nobody uses: less than the MTA waits for a command, which is 5m by RFC 5321 section 4.5.3.2.7"`
	Health         Health        `yaml:"health" doc:"how the MTAs of a group are looked at that has several"`
	BackOff        BackOff       `yaml:"backoff" doc:"how long an MTA that cannot be reached is left alone"`
	Recipients     Recipients    `yaml:"recipients" doc:"recipients that the upstream has refused because there is no such address"`
}

// Server is one MTA of a group, or several that the DNS knows.
type Server struct {
	Address ServerAddress `yaml:"address" required:"true" doc:"where the MTA is, as for address of the group"`
	Weight  int           `yaml:"weight" min:"1" max:"1000" doc:"its share of the sessions"`
}

// SetDefaults fills a server with its defaults.
func (s *Server) SetDefaults() { *s = Server{Weight: 1} }

// Health is how servers are looked at that no session uses at the moment.
type Health struct {
	Interval time.Duration `yaml:"interval" min:"0s" max:"1h" doc:"time between looks; 0s for none"`
	Timeout  time.Duration `yaml:"timeout" min:"100ms" max:"5m" doc:"longest wait for the MTA's greeting"`
}

// BackOff is how long a server that has failed is left alone: first, and twice
// as long each further time, up to max.
type BackOff struct {
	First time.Duration `yaml:"first" min:"10ms" max:"1h" doc:"after the first failure; twice as long after each further one"`
	Max   time.Duration `yaml:"max" min:"10ms" max:"24h" doc:"longest time"`
}

// Recipients is what is remembered of recipients that do not exist.
type Recipients struct {
	Remember bool          `yaml:"remember" doc:"refuse such a recipient without asking again"`
	TTL      time.Duration `yaml:"ttl" min:"1s" max:"720h" doc:"how long a refusal is remembered"`
	Refresh  time.Duration `yaml:"refresh" min:"1s" max:"720h" doc:"age from which one session asks again, so that a new mailbox is soon known"`
	Entries  int           `yaml:"entries" min:"100" max:"10000000" doc:"most recipients that are remembered"`
}

// SetDefaults fills a group with its defaults.
func (g *Group) SetDefaults() {
	*g = Group{
		Balance:        InOrder,
		Protocol:       SMTP,
		Identity:       NoIdentity,
		ProxyVersion:   2,
		ClientName:     true,
		TLS:            UpstreamTLS{Mode: NoTLS, Verify: true, MinVersion: "1.2"},
		MaxConnections: 500,
		ReuseIdle:      30 * time.Second,
		Health:         Health{Interval: 30 * time.Second, Timeout: 10 * time.Second},
		BackOff:        BackOff{First: time.Second, Max: time.Minute},
		Recipients:     Recipients{TTL: 72 * time.Hour, Refresh: 3 * time.Hour, Entries: 10_000},
	}
}

// Balance is how a session's server is chosen among those that are alive.
type Balance string

// The ways to choose.
const (
	InOrder       Balance = "order"          // the first
	ByWeight      Balance = "weight"         // at random, by weight
	LeastSessions Balance = "least_sessions" // the one with the fewest sessions for its weight
)

// Words returns the ways there are.
func (Balance) Words() []string {
	return []string{string(InOrder), string(ByWeight), string(LeastSessions)}
}

// Protocol is what a group's servers speak.
type Protocol string

// The protocols.
const (
	SMTP Protocol = "smtp" // RFC 5321
	LMTP Protocol = "lmtp" // RFC 2033
)

// Words returns the protocols there are.
func (Protocol) Words() []string { return []string{string(SMTP), string(LMTP)} }

// Identity is how the upstream learns the client's address.
type Identity string

// The ways to tell it.
const (
	NoIdentity  Identity = "none"        // it sees our address
	XCLIENT     Identity = "xclient"     // the command of Postfix
	XFORWARD    Identity = "xforward"    // the other command of Postfix, for the log only
	PROXY       Identity = "proxy"       // haproxy's header
	Transparent Identity = "transparent" // we connect from the client's address
)

// Words returns the ways there are.
func (Identity) Words() []string {
	return []string{string(NoIdentity), string(XCLIENT), string(XFORWARD), string(PROXY), string(Transparent)}
}
