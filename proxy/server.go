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
	relay  *relay.Relay
	socket net.Listener // nil before Listen
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
		r, err := relay.New(relayOptions(l, built.For(l.Name), limiter, log))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.doors = append(s.doors, &door{config: l, relay: r})
	}
	if err := errors.Join(errs...); err != nil {
		built.Close()
		return nil, cfg.Explain(err)
	}
	return s, nil
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
	config := net.ListenConfig{KeepAlive: -1} // time-outs find dead clients sooner
	for _, d := range s.doors {
		socket, err := config.Listen(context.Background(), "tcp", d.config.Address)
		if err != nil {
			s.closeSockets()
			return fmt.Errorf("listener %s: %w", d.config.Name, err)
		}
		d.socket = socket
		s.log.Info("listening", "listener", d.config.Name, "address", socket.Addr().String(),
			"upstream", d.config.Upstream.Address)
	}
	return nil
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
	return s.each(func(d *door) error { return d.relay.Serve(d.socket) })
}

// Shutdown stops accepting, lets transactions end until ctx does, and closes
// the chain. It returns ctx's error if sessions had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.each(func(d *door) error { return d.relay.Shutdown(ctx) })
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
