// Package proxy is the running program: it makes the chain and the front ends
// of a configuration, opens their sockets, and ends them in good order.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/env"
)

// Server is all that one configuration asks for, and those that are loaded in
// its place later.
type Server struct {
	log     *slog.Logger
	shared  *shared
	reloads filters.Counter
	loaded  filters.Gauge

	opener       opener
	adminAddress string // "" for none
	profiles     bool   // are served there
	admin        *admin // nil before Listen, and for none

	reload  sync.Mutex     // held while the edition changes
	changed chan struct{}  // see Changed
	watch   *watch         // nil if no files are watched
	leaving sync.WaitGroup // doors and editions that are no longer in force
	drain   context.Context
	cut     context.CancelFunc // of drain
	dropped atomic.Bool        // it has cut sessions off
	waiting sync.WaitGroup     // for the state file

	mu      sync.Mutex
	edition *edition
	doors   []*door
	serving bool
	ended   bool
	ending  chan struct{}  // closed when ended
	loops   sync.WaitGroup // that accept clients
}

// New makes the chain and the front ends, without opening sockets or the state
// file, and without asking the DNS. Its error is a configs.Problems with all
// that does not fit.
func New(cfg *configs.Config, log *slog.Logger) (*Server, error) {
	shared, err := newShared(cfg, log)
	if err != nil {
		return nil, err
	}
	e, err := newEdition(cfg, shared)
	if err != nil {
		shared.close()
		return nil, err
	}
	s := &Server{
		log:          log,
		shared:       shared,
		opener:       opener{shared: cfg.ReusePort},
		adminAddress: cfg.Admin.At(),
		profiles:     cfg.Admin.Pprof,
		changed:      make(chan struct{}, 1),
		edition:      e,
		ending:       make(chan struct{}),
	}
	s.drain, s.cut = context.WithCancel(context.Background())
	s.reloads = shared.host.Env().Counter("mailweir_reloads_total", "Attempts to load the configuration again.", "result")
	s.loaded = shared.host.Env().Gauge("mailweir_config_loaded_timestamp_seconds", "When the configuration in force was loaded.")
	for _, l := range cfg.Listeners {
		d, err := s.newDoor(l, e)
		if err != nil {
			s.close()
			return nil, cfg.Explain(err)
		}
		s.doors = append(s.doors, d)
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
	s.cut()
	s.waiting.Wait()
	err := s.edition.close()
	if s.admin != nil { // it can be watched until all filters have ended
		s.admin.close()
	}
	return errors.Join(err, s.shared.close())
}

// Listen opens all sockets and the state file, or nothing. The filters then
// begin with what they do beside the sessions.
func (s *Server) Listen() error {
	if err := s.open(); err != nil {
		s.closeSockets()
		return err
	}
	s.edition.chain.Work()
	s.countLoaded()
	s.reloads.Add(0, "ok")
	s.reloads.Add(0, "failed")
	s.look()
	return nil
}

func (s *Server) open() error {
	for _, d := range s.doors {
		if err := d.listen(&s.opener, s.log); err != nil {
			return err
		}
	}
	if s.adminAddress != "" {
		a, err := listenAdmin(&s.opener, s.adminAddress, s.pages(), s.log)
		if err != nil {
			return err
		}
		s.admin = a
		if s.profiles {
			s.log.Info("serving profiles", "address", a.socket.Addr().String(), "path", profilesAt)
		}
	}
	s.opener.dismiss(s.log)
	return s.openState()
}

func (s *Server) closeSockets() {
	for _, d := range s.doors {
		d.close()
	}
	if s.admin != nil {
		s.admin.close()
		s.admin = nil
	}
}

// Addr returns the address of the listener with that name. Call it after
// Listen.
func (s *Server) Addr(listener string) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	s.mu.Lock()
	s.serving = true
	for _, d := range s.doors {
		s.serve(d)
	}
	s.mu.Unlock()
	<-s.ending
	s.loops.Wait()
	return <-watched
}

// serve accepts clients at a door, with mu held. A failure is logged: it is of
// one door.
func (s *Server) serve(d *door) {
	name := d.config.Name
	l := &loop{Listener: d.socket}
	d.loop = l
	s.loops.Go(func() {
		defer l.ended.Store(true)
		if err := d.front.Serve(l); err != nil {
			s.log.Error("a listener has ended", "listener", name, "error", err)
		}
	})
}

// Shutdown stops accepting, lets transactions end until ctx does, and closes
// the chain, then what its filters shared. It returns ctx's error if sessions
// had to be cut off. Further calls do nothing. With reuse_port it first leaves
// new clients to another process.
func (s *Server) Shutdown(ctx context.Context) error {
	s.reload.Lock() // waits for a reload under way; there is none after this
	defer s.reload.Unlock()
	if s.ended {
		return nil
	}
	s.yield(ctx)
	if s.watch != nil {
		s.watch.close()
	}
	s.mu.Lock()
	s.ended = true
	close(s.ending)
	doors := s.doors
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.cut)()
	err := each(doors, func(d *door) error { return d.front.Shutdown(ctx) })
	s.leaving.Wait()
	if s.dropped.Load() {
		err = ctx.Err()
	}
	return errors.Join(err, s.close())
}

// each does the same with all doors at once.
func each(doors []*door, do func(*door) error) error {
	errs := make([]error, len(doors))
	var wait sync.WaitGroup
	for i, d := range doors {
		wait.Go(func() { errs[i] = do(d) })
	}
	wait.Wait()
	return errors.Join(errs...)
}
