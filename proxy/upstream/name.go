package upstream

import (
	"context"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/ptr"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// clientNames is what NAME and REVERSE_NAME say of a client: a name, or why
// there is none.
type clientNames struct {
	of       string // the session's ID
	verified string // leads back to the client's address
	reverse  string // which its address has, verified or not
}

// namePatience bounds the look-ups for a client's name.
const namePatience = 5 * time.Second

// namesOf returns the names of a client, if one of the attributes asks for them.
func (g *Group) namesOf(ctx context.Context, s *filters.Session, attrs []string) clientNames {
	switch resolver := g.fleet.env.Resolver; {
	case smtp.HostName(s.ClientName):
		return clientNames{s.ID, s.ClientName, s.ClientName}
	case !g.ClientName || resolver == nil || !slices.Contains(attrs, "NAME") && !slices.Contains(attrs, "REVERSE_NAME"):
		return clientNames{s.ID, unavailable, unavailable}
	default:
		verified, reverse := lookUp(ctx, resolver, s)
		return clientNames{s.ID, verified, reverse}
	}
}

// lookUp asks the DNS for the names of a client.
func lookUp(ctx context.Context, r filters.Resolver, s *filters.Session) (verified, reverse string) {
	client := s.Client.Addr().Unmap().WithZone("")
	if !client.IsValid() {
		return unavailable, unavailable
	}
	ctx, cancel := context.WithTimeout(ctx, namePatience)
	defer cancel()
	names, err := ptr.Names(ctx, r, client)
	names = slices.DeleteFunc(names, func(name string) bool { return !smtp.HostName(name) })
	switch {
	case err != nil && !filters.NotFound(err):
		return tempUnavail, tempUnavail
	case len(names) == 0:
		return unavailable, unavailable
	}
	names = names[:min(len(names), ptr.MaxNames)]
	verified, err = ptr.Confirm(ctx, r, names, client)
	switch {
	case verified != "":
		return verified, verified
	case err != nil:
		return tempUnavail, names[0]
	}
	return unavailable, names[0]
}
