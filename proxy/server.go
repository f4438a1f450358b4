// Package proxy is the running program: it makes the chain and the front ends
// of a configuration, opens their sockets, and ends them in good order.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/milter"
	"github.com/mailweir/mailweir/proxy/relay"
)

// Server is all that one configuration asks for.
type Server struct {
	log   *slog.Logger
	chain *chain.Chain
	doors []*door
}

// door is one listener.
type door struct {
	config configs.Listener
	front  frontEnd
	socket net.Listener // nil before Listen
}

// frontEnd is a relay or a milter.
type frontEnd interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// New makes the chain and the front ends, without opening sockets. Its error
// is a configs.Problems with all that does not fit.
func New(cfg *configs.Config, log *slog.Logger) (*Server, error) {
	built, err := cfg.Build(filters.Env{Log: log, Now: time.Now})
	if err != nil {
		return nil, err
	}
	s := &Server{log: log, chain: built}
	limiter := relay.NewLimiter(cfg.Sessions.Max, cfg.Sessions.MaxPerClient)
	var errs []error
	for _, l := range cfg.Listeners {
		front, err := newFrontEnd(l, built.For(l.Name), limiter, log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.doors = append(s.doors, &door{config: l, front: front})
	}
	if err := errors.Join(errs...); err != nil {
		built.Close()
		return nil, cfg.Explain(err)
	}
	return s, nil
}

// newFrontEnd makes what the listener's mode says. It logs which entries of the
// chain see but a part there of what they ask for.
func newFrontEnd(l configs.Listener, c *chain.Chain, limiter *relay.Limiter, log *slog.Logger) (frontEnd, error) {
	if l.Mode != configs.MTA {
		return relay.New(relayOptions(l, c, limiter, log))
	}
	m, err := milter.New(milterOptions(l, c, log))
	if err != nil {
		return nil, err
	}
	for _, blind := range milter.Blind {
		for _, entry := range misfits(c, blind.With) {
			log.Warn("a filter does not see all it asks for", "at", entry.Pos, "filter", entry.Kind.Name,
				"listener", l.Name, "reason", blind.Why)
		}
	}
	return m, nil
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

// Check tells whether New would succeed, and leaves nothing behind.
func Check(cfg *configs.Config, log *slog.Logger) error {
	s, err := New(cfg, log)
	if err != nil {
		return err
	}
	return s.chain.Close()
}

// Listen opens all sockets, or none.
func (s *Server) Listen() error {
	for _, d := range s.doors {
		socket, err := listen(d.config)
		if err != nil {
			s.closeSockets()
			return fmt.Errorf("listener %s: %w", d.config.Name, err)
		}
		d.socket = socket
		attrs := []any{"listener", d.config.Name, "mode", string(d.config.Mode), "address", socket.Addr().String()}
		if d.config.Mode == configs.Relay {
			attrs = append(attrs, "upstream", d.config.Upstream.Address)
		}
		s.log.Info("listening", attrs...)
	}
	return nil
}

// listen opens the listener's socket.
func listen(l configs.Listener) (net.Listener, error) {
	if l.Mode == configs.MTA {
		return milterSocket(l).Listen()
	}
	config := net.ListenConfig{KeepAlive: -1} // time-outs find dead clients sooner
	return config.Listen(context.Background(), "tcp", l.Address)
}

func (s *Server) closeSockets() {
	for _, d := range s.doors {
		if d.socket != nil {
			d.socket.Close()
		}
	}
}

// Addr returns the address of the listener with that name. Call it after
// Listen.
func (s *Server) Addr(listener string) net.Addr {
	for _, d := range s.doors {
		if d.config.Name == listener {
			return d.socket.Addr()
		}
	}
	return nil
}

// Serve accepts clients on all listeners until Shutdown. Call it after Listen.
func (s *Server) Serve() error {
	return s.each(func(d *door) error { return d.front.Serve(d.socket) })
}

// Shutdown stops accepting, lets transactions end until ctx does, and closes
// the chain. It returns ctx's error if sessions had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.each(func(d *door) error { return d.front.Shutdown(ctx) })
	return errors.Join(err, s.chain.Close())
}

// each does the same with all doors at once.
func (s *Server) each(do func(*door) error) error {
	errs := make([]error, len(s.doors))
	var wait sync.WaitGroup
	for i, d := range s.doors {
		wait.Go(func() { errs[i] = do(d) })
	}
	wait.Wait()
	return errors.Join(errs...)
}
