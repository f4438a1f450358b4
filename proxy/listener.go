package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/milter"
	"github.com/mailweir/mailweir/proxy/relay"
)

// door is one listener.
type door struct {
	config configs.Listener
	front  frontEnd
	socket net.Listener // nil before listen
	loop   *loop        // nil before it serves
}

// frontEnd is a relay or a milter.
type frontEnd interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Sessions() int
}

// offers returns what the listener's front end can do for a chain.
func offers(l configs.Listener) filters.Offers {
	if l.Mode == configs.MTA {
		return milter.Offers
	}
	return relay.Offers
}

// newDoor makes what the listener's mode says, without its socket.
func (s *Server) newDoor(l configs.Listener, e *edition) (*door, error) {
	d := &door{config: l}
	var err error
	if c := e.chain.For(l.Name); l.Mode == configs.MTA {
		warnBlind(s.log, l, c)
		d.front, err = milter.New(s.milterOptions(l, c))
	} else {
		d.front, err = relay.New(s.relayOptions(l, c, e))
	}
	return d, err
}

// swap has the door serve under other settings and another chain, which fits
// it. over is closed when nobody uses the former ones any more.
func (s *Server) swap(d *door, l configs.Listener, e *edition) (over <-chan struct{}) {
	c := e.chain.For(l.Name)
	s.mu.Lock()
	d.config = l
	s.mu.Unlock()
	if m, ok := d.front.(*milter.Milter); ok {
		warnBlind(s.log, l, c)
		return m.Swap(s.milterOptions(l, c))
	}
	return d.front.(*relay.Relay).Swap(s.relayOptions(l, c, e))
}

// warnBlind logs which entries of the chain see but a part there of what they
// ask for.
func warnBlind(log *slog.Logger, l configs.Listener, c *chain.Chain) {
	for _, blind := range milter.Blind {
		for _, entry := range misfits(c, blind.With) {
			log.Warn("a filter does not see all it asks for", "at", entry.Pos, "filter", entry.Kind.Name,
				"listener", l.Name, "reason", blind.Why)
		}
	}
}

// misfits returns the entries that ask for more than o.
func misfits(c *chain.Chain, o filters.Offers) []chain.Spec {
	var list []chain.Spec
	joined, _ := c.Fits(o).(interface{ Unwrap() []error })
	if joined == nil {
		return nil
	}
	for _, err := range joined.Unwrap() {
		var entry *chain.SpecError
		if errors.As(err, &entry) {
			list = append(list, entry.Spec)
		}
	}
	return list
}

// listen opens the door's socket, or takes one that was passed.
func (d *door) listen(o *opener, log *slog.Logger) error {
	socket, passed, err := o.listen(d.config)
	if err != nil {
		return fmt.Errorf("listener %s: %w", d.config.Name, err)
	}
	d.socket = socket
	attrs := []any{"listener", d.config.Name, "mode", string(d.config.Mode), "address", socket.Addr().String()}
	if passed {
		attrs = append(attrs, "passed", true)
	}
	if d.config.Mode == configs.Relay {
		attrs = append(attrs, "upstream", upstreamText(d.config.Upstream))
	}
	log.Info("listening", attrs...)
	return nil
}

// upstreamText says where mail goes: a group's name, or its servers.
func upstreamText(r configs.UpstreamRef) string {
	if r.Called {
		return r.Name
	}
	addresses := make([]string, len(r.Servers))
	for i, s := range r.Servers {
		addresses[i] = s.Address.String()
	}
	return strings.Join(addresses, " ")
}

// close closes the socket of a door that has not served yet.
func (d *door) close() {
	if d.socket != nil {
		d.socket.Close()
		d.socket = nil
	}
}
