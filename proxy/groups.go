package proxy

import (
	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// openGroups makes the upstreams of the edition, by their names.
func (e *edition) openGroups(fleet *upstream.Fleet) {
	e.groups = map[string]*upstream.Group{}
	for _, g := range e.config.Groups() {
		o := groupOptions(g, e.config.Hostname)
		if c := e.certificates.clients[g.Name]; c != nil {
			o.TLSConfig = c.Config
		}
		e.groups[g.Name] = fleet.Group(o)
	}
}

// groupOptions turns a group of the configuration into the settings of an
// upstream, but for its certificates.
func groupOptions(g configs.Upstream, hostname string) upstream.Options {
	o := upstream.Options{
		Name:           g.Name,
		Hostname:       hostname,
		Balance:        balances[g.Balance],
		LMTP:           g.Protocol == configs.LMTP,
		Identity:       identities[g.Identity],
		ProxyVersion:   g.ProxyVersion,
		ClientName:     g.ClientName,
		TLS:            tlsModes[g.TLS.Mode],
		MaxConnections: g.MaxConnections,
		Reuse:          g.Reuse,
		ReuseIdle:      g.ReuseIdle,
		Health:         upstream.Health(g.Health),
		BackOff:        upstream.BackOff(g.BackOff),
	}
	for _, s := range g.Servers {
		o.Servers = append(o.Servers, upstream.Server{
			Kind:   serverKinds[s.Address.Kind],
			Host:   s.Address.Host,
			Port:   s.Address.Port,
			Path:   s.Address.Path,
			Weight: s.Weight,
		})
	}
	if r := g.Recipients; r.Remember {
		o.Recipients = &upstream.RecipientOptions{TTL: r.TTL, Refresh: r.Refresh, Entries: r.Entries}
	}
	return o
}

// What the configuration's words mean to package upstream.
var (
	balances = map[configs.Balance]upstream.Balance{
		configs.InOrder:       upstream.InOrder,
		configs.ByWeight:      upstream.ByWeight,
		configs.LeastSessions: upstream.LeastSessions,
	}
	identities = map[configs.Identity]upstream.Identity{
		configs.NoIdentity:  upstream.NoIdentity,
		configs.XCLIENT:     upstream.XCLIENT,
		configs.XFORWARD:    upstream.XFORWARD,
		configs.PROXY:       upstream.PROXY,
		configs.Transparent: upstream.Transparent,
	}
	tlsModes = map[configs.TLSMode]upstream.TLSMode{
		configs.NoTLS:         upstream.NoTLS,
		configs.Opportunistic: upstream.Opportunistic,
		configs.RequireTLS:    upstream.RequireTLS,
		configs.ImplicitTLS:   upstream.ImplicitTLS,
	}
	serverKinds = map[configs.ServerKind]upstream.ServerKind{
		configs.AtHost:   upstream.Host,
		configs.AtSocket: upstream.Unix,
		configs.BySRV:    upstream.SRV,
		configs.ByMX:     upstream.MX,
	}
)
