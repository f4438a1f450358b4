package proxy

import (
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/env"
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

// relayOptions turns a listener of the configuration into a relay's settings.
func relayOptions(l configs.Listener, c *chain.Chain, group *upstream.Group, limiter *relay.Limiter, log *slog.Logger) relay.Options {
	t := l.Timeouts
	return relay.Options{
		Name:         l.Name,
		Hostname:     l.Hostname,
		Chain:        c,
		Log:          log,
		Limiter:      limiter,
		Upstream:     group,
		FixLines:     l.BareNewline == configs.NormalizeText,
		FixNUL:       l.NUL == configs.NormalizeText,
		RelayVerbs:   upper(l.RelayVerbs),
		PassKeywords: upper(l.PassKeywords),
		MaxErrors:    l.Errors,
		CommandLine:  l.CommandLine,
		Timeouts: relay.Timeouts{
			Command:   t.Command,
			DataBlock: t.DataBlock,
			Write:     t.ReplyWrite,
			Upstream:  upstreamTimeouts(t.Upstream),
		},
	}
}

func upstreamTimeouts(t configs.UpstreamTimeouts) upstream.Timeouts {
	return upstream.Timeouts{
		Connect:   t.Connect,
		Greeting:  t.Greeting,
		Mail:      t.Mail,
		Rcpt:      t.Rcpt,
		Data:      t.Data,
		Block:     t.Block,
		EndOfData: t.EndOfData,
		Other:     t.Other,
	}
}

// milterOptions turns a listener of the configuration into a milter's settings.
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

func upper(words []string) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = strings.ToUpper(w)
	}
	return list
}
