package proxy

import (
	"net"
	"strconv"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// groups returns the upstreams of a configuration, by the listeners' names.
func groups(cfg *configs.Config, fleet *upstream.Fleet) map[string]*upstream.Group {
	all := map[string]*upstream.Group{}
	for _, l := range cfg.Listeners {
		if l.Mode == configs.Relay {
			all[l.Name] = fleet.Group(groupOptions(l))
		}
	}
	return all
}

func groupOptions(l configs.Listener) upstream.Options {
	host, port, _ := net.SplitHostPort(l.Upstream.Address)
	number, _ := strconv.ParseUint(port, 10, 16)
	return upstream.Options{
		Name:           "listener " + l.Name,
		Hostname:       l.Hostname,
		Servers:        []upstream.Server{{Host: host, Port: uint16(number), Weight: 1}},
		MaxConnections: l.Upstream.MaxConnections,
	}
}
