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

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/env"
	"github.com/mailweir/mailweir/proxy/milter"
	"github.com/mailweir/mailweir/proxy/relay"
)

// Server is all that one configuration asks for.
type Server struct {
	log   *slog.Logger
	host  *env.Host // what the filters of all listeners share
	chain *chain.Chain
	doors []*door

	adminAddress string // "" for none
	admin        *admin // nil before Listen, and for none
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

// New makes the chain and the front ends, without opening sockets or the state
// file, and without asking the DNS. Its error is a configs.Problems with all
// that does not fit.
func New(cfg *configs.Config, log *slog.Logger) (*Server, error) {
	host, err := OpenHost(cfg, log)
	if err != nil {
		return nil, err
	}
	built, err := cfg.Build(host.Env())
	if err != nil {
		host.Close()
		return nil, err
	}
	s := &Server{log: log, host: host, chain: built, adminAddress: cfg.Admin.Address}
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
		s.close()
		return nil, cfg.Explain(err)
	}
	return s, nil
}

// OpenHost returns what filters of that configuration share, for work outside of
// a server. It touches nothing until it is used, and is to be closed.
func OpenHost(cfg *configs.Config, log *slog.Logger) (*env.Host, error) {
	host, err := env.Open(envOptions(cfg, log))
	if err != nil {
		return nil, cfg.Explain(err)
	}
	return host, nil
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
	return s.close()
}

// close ends what sessions have shared.
func (s *Server) close() error {
	err := s.chain.Close()
	if s.admin != nil { // it can be watched until all filters have ended
		s.admin.close()
	}
	return errors.Join(err, s.host.Close())
}

// Listen opens all sockets and the state file, or nothing. The filters then
// begin with what they do beside the sessions.
func (s *Server) Listen() error {
	if err := s.open(); err != nil {
		s.closeSockets()
		return err
	}
	s.chain.Work()
	return nil
}

func (s *Server) open() error {
	for _, d := range s.doors {
		socket, err := listen(d.config)
		if err != nil {
			return fmt.Errorf("listener %s: %w", d.config.Name, err)
		}
		d.socket = socket
		attrs := []any{"listener", d.config.Name, "mode", string(d.config.Mode), "address", socket.Addr().String()}
		if d.config.Mode == configs.Relay {
			attrs = append(attrs, "upstream", d.config.Upstream.Address)
		}
		s.log.Info("listening", attrs...)
	}
	if s.adminAddress != "" {
		a, err := listenAdmin(s.adminAddress, s.host.Metrics(), s.log)
		if err != nil {
			return err
		}
		s.admin = a
	}
	return s.host.Start()
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
			d.socket = nil
		}
	}
	if s.admin != nil {
		s.admin.close()
		s.admin = nil
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

// AdminAddr returns where the metrics are served, nil if they are not. Call it
// after Listen.
func (s *Server) AdminAddr() net.Addr {
	if s.admin == nil {
		return nil
	}
	return s.admin.socket.Addr()
}

// Serve accepts clients on all listeners until Shutdown. Call it after Listen.
func (s *Server) Serve() error {
	watched := make(chan error, 1)
	if s.admin != nil {
		go func() { watched <- s.admin.serve() }()
	} else {
		watched <- nil
	}
	if err := s.each(func(d *door) error { return d.front.Serve(d.socket) }); err != nil {
		return err
	}
	return <-watched
}

// Shutdown stops accepting, lets transactions end until ctx does, and closes
// the chain, then what its filters shared. It returns ctx's error if sessions
// had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.each(func(d *door) error { return d.front.Shutdown(ctx) })
	return errors.Join(err, s.close())
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
