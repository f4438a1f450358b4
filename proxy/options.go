package proxy

import (
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/env"
	"github.com/mailweir/mailweir/filters/ipset"
	"github.com/mailweir/mailweir/proxy/milter"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// envOptions turns what filters share into the settings of their host.
func envOptions(cfg *configs.Config, log *slog.Logger) env.Options {
	servers := make([]netip.AddrPort, len(cfg.DNS.Servers))
	for i, s := range cfg.DNS.Servers {
		servers[i] = netip.AddrPort(s)
	}
	d := cfg.DNS
	return env.Options{
		Log:     log,
		Version: cfg.Version,
		DNS: env.DNS{
			Servers:      servers,
			Attempt:      d.AttemptTimeout,
			Timeout:      d.Timeout,
			Tries:        d.Tries,
			CacheEntries: d.CacheEntries,
			MinTTL:       d.MinTTL,
			MaxTTL:       d.MaxTTL,
			RandomCase:   d.RandomCase,
		},
		State: env.State{File: cfg.StateFile(), Entries: cfg.State.Entries},
	}
}

// relayOptions turns a listener of the configuration into a relay's settings,
// with what it shares with others.
func (s *Server) relayOptions(l configs.Listener, c *chain.Chain, e *edition) relay.Options {
	o := relayOptions(l, c, s.log)
	o.Limiter, o.Failures, o.Room, o.Meters = s.shared.limiter, s.shared.failures, s.shared.room, s.shared.relays
	o.Stress = relay.Stress(e.config.Sessions.Stress)
	o.Upstream = e.groups[l.Upstream.Name]
	for _, r := range l.Routes {
		o.Routes = append(o.Routes, relay.Route{Domains: texts(r.Domains), Upstream: e.groups[r.Upstream.Name]})
	}
	if certificates := e.certificates.servers[l.Name]; certificates != nil {
		o.TLS = &relay.TLS{Config: certificates, Implicit: l.TLS.Implicit, Require: l.TLS.Require}
	}
	if len(l.ProxyProtocolFrom) > 0 {
		o.ProxyFrom = ipset.Of(l.ProxyProtocolFrom)
	}
	if len(l.XClientFrom) > 0 {
		o.XClientFrom = ipset.Of(l.XClientFrom)
	}
	return o
}

// relayOptions are a listener's settings that stand by themselves.
func relayOptions(l configs.Listener, c *chain.Chain, log *slog.Logger) relay.Options {
	t := l.Timeouts
	return relay.Options{
		Name:         l.Name,
		Hostname:     l.Hostname,
		Chain:        c,
		Log:          log,
		FixLines:     l.BareNewline == configs.NormalizeText,
		FixNUL:       l.NUL == configs.NormalizeText,
		RelayVerbs:   upper(l.RelayVerbs),
		PassKeywords: upper(l.PassKeywords),
		PlainAuth:    l.Auth.WithoutTLS,
		MaxFailures:  l.Auth.MaxFailures,
		FailWindow:   l.Auth.Window,
		MaxErrors:    l.Errors,
		CommandLine:  l.CommandLine,

		MaxSessions:     l.MaxSessions,
		MaxCommands:     l.MaxCommands,
		MaxTransactions: l.MaxTransactions,
		MaxRcpts:        l.MaxRecipients,
		MaxSessionRcpts: l.MaxSessionRecipients,
		MinRate:         l.MinDataRate,

		Timeouts: relay.Timeouts{
			Command:   t.Command,
			DataBlock: t.DataBlock,
			Write:     t.ReplyWrite,
			Handshake: t.Handshake,
			Header:    t.ProxyHeader,
			Upstream:  upstream.Timeouts(t.Upstream),
		},
	}
}

// milterOptions turns a listener of the configuration into a milter's settings,
// with what it shares with others.
func (s *Server) milterOptions(l configs.Listener, c *chain.Chain) milter.Options {
	o := milterOptions(l, c, s.log)
	o.Meters = s.shared.milters
	return o
}

// milterOptions are a listener's settings that stand by themselves.
func milterOptions(l configs.Listener, c *chain.Chain, log *slog.Logger) milter.Options {
	return milter.Options{
		Name:           l.Name,
		Hostname:       l.Hostname,
		Chain:          c,
		Log:            log,
		MaxConnections: l.Milter.MaxConnections,
		MaxPacket:      int(l.Milter.MaxPacket),
		Timeouts:       milter.Timeouts(l.Milter.Timeouts),
	}
}

// milterSocket is where a milter listens.
func milterSocket(l configs.Listener) milter.Socket {
	return milter.Socket{Address: l.Address, Mode: fs.FileMode(l.SocketMode), Group: l.SocketGroup}
}

func texts[T ~string](words []T) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return list
}

func upper(words []string) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = strings.ToUpper(w)
	}
	return list
}
