package proxy_test

import (
	"context"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// fromZone answers as a resolver does to whom the zone is all of the DNS.
func fromZone(z *filtertest.Zone) peer.Answer {
	return func(ctx context.Context, _ string, question *dns.Msg) *dns.Msg { return z.Reply(ctx, question) }
}
