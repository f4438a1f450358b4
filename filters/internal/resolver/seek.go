package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"
)

// errSilent is an exchange without a reply in time.
var errSilent = errors.New("no reply")

// seek asks the servers until one of them knows. Those that only stay silent
// are asked again, the others are not: RFC 9520 section 3.1.
func (r *Resolver) seek(ctx context.Context, k key) (finding, *failure) {
	servers := r.servers.inOrder()
	var all complaints
	for range r.Tries {
		var quiet []*server
		for _, s := range servers {
			found, err := r.attempt(ctx, s, k)
			if err == nil {
				return found, nil
			}
			all.add(s, err)
			if ctx.Err() != nil {
				return finding{}, r.failure(&all)
			}
			if errors.Is(err, errSilent) {
				quiet = append(quiet, s)
			}
		}
		servers = quiet
	}
	return finding{}, r.failure(&all)
}

// attempt asks one server, and once more without EDNS if it is that which it
// does not understand (RFC 6891 section 7).
func (r *Resolver) attempt(ctx context.Context, s *server, k key) (finding, error) {
	edns := s.speaksEDNS(r.Now())
	found, err := r.inquire(ctx, s, k, edns)
	if edns && deniesEDNS(err) {
		found, err = r.inquire(ctx, s, k, false)
		if err == nil {
			s.withoutEDNS(r.Now())
		}
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		// One that says SERVFAIL is alive: it is the name that ails.
		var rcode rcodeError
		alive := err == nil || errors.As(err, &rcode) && rcode == dns.RcodeServerFailure
		s.note(r.Now(), !alive)
	}
	return found, err
}

func deniesEDNS(err error) bool {
	var rcode rcodeError
	return errors.As(err, &rcode) &&
		(rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers)
}

// inquire asks over UDP, and over TCP what does not fit or is doubtful there.
func (r *Resolver) inquire(ctx context.Context, s *server, k key, edns bool) (finding, error) {
	random := r.RandomCase && s.keepsCase()
	q, err := newQuery(k, random, edns)
	if err != nil {
		return finding{}, err
	}
	packet, how, err := r.overUDP(ctx, s, q)
	switch {
	case err != nil:
		return finding{}, err
	case random && how == otherCase:
		return r.doubt(ctx, s, q)
	case random && how == same:
		s.strike(true, false)
	}
	if how == bareError || !headerOf(packet).Truncated {
		return r.understand(q, packet, "udp")
	}
	r.meters.exchange("udp", exchangeTruncated)
	packet, _, err = r.overTCP(ctx, s, q)
	if err != nil {
		return finding{}, fmt.Errorf("truncated over UDP, and over TCP: %w", err)
	}
	return r.understand(q, packet, "tcp")
}

// doubt asks over TCP, where nobody else can reply, because a reply over UDP
// has come in other letters than asked for.
func (r *Resolver) doubt(ctx context.Context, s *server, q *query) (finding, error) {
	r.meters.exchange("udp", exchangeCase)
	packet, how, err := r.overTCP(ctx, s, q)
	if err != nil {
		return finding{}, fmt.Errorf("replies in other letters than asked for, and cannot be asked over TCP (%v): if it is to be trusted nevertheless, set dns: {random_case: false}", err)
	}
	if s.strike(false, how == otherCase) {
		r.Log.Info("dns: a name server does not keep the case of names, which makes forged replies easier: it is asked in lower case from now on", "server", s.addr.String())
	}
	return r.understand(q, packet, "tcp")
}

// understand reads a reply, and counts how that went. It reads one at a time:
// pointers make 33 MiB of names out of the 64 KiB that a reply may have.
func (r *Resolver) understand(q *query, packet []byte, transport string) (finding, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	found, err := q.read(packet)
	var rcode rcodeError
	switch {
	case err == nil:
		r.meters.exchange(transport, exchangeOK)
	case errors.As(err, &rcode), errors.Is(err, errReferral):
		r.meters.exchange(transport, exchangeFailure)
	default:
		r.meters.exchange(transport, exchangeGarbage)
	}
	return found, err
}

// brief takes the addresses out of an error of the network.
func brief(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
