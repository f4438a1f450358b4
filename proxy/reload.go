package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/mailweir/mailweir/configs"
)

var errEnded = errors.New("the program is ending")

// Reload puts another configuration in force, for all listeners at once. If
// anything is wrong with it nothing changes, the error says what, and so does
// the log. Sessions under way end as they began, and the former chain is closed
// after the last of them. Call it after Listen.
//
// Listeners keep their sockets as long as their address stays. New ones are
// opened before anything changes; those that are gone stop accepting, and have
// the time of drain_timeout to end their transactions.
//
// What cannot change without a restart stays as it is: see configs.Change.
func (s *Server) Reload(load func() (*configs.Config, error)) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.ended {
		return errEnded
	}
	before := lookAt(s.edition.files.names())
	if err := s.replace(load, before); err != nil {
		s.reloads.Add(1, "failed")
		s.log.Error("cannot load the configuration; the old configuration stays in force", "error", bounded(err.Error()))
		return err
	}
	s.reloads.Add(1, "ok")
	s.countLoaded()
	s.look()
	return nil
}

// replace loads a configuration and puts it in force. before is how the files
// were that are known already.
func (s *Server) replace(load func() (*configs.Config, error), before marks) error {
	old := s.edition
	cfg, e, err := s.prepare(load)
	if err != nil {
		return err
	}
	changes := configs.Diff(old.config, cfg)
	e.files.earlier(before)
	plan, err := s.plan(e)
	if err != nil {
		e.close()
		return err
	}
	s.shared.resize(e.config.Sessions)
	e.chain.Work()
	s.enforce(plan, e)
	files := old.files.changed(e.files)
	s.logReload(changes, slices.DeleteFunc(files, func(name string) bool { return slices.Contains(cfg.Files(), name) }))
	return nil
}

// prepare loads a configuration and makes its filters. A panic is an error like
// others: those who are served have no part in it.
func (s *Server) prepare(load func() (*configs.Config, error)) (cfg *configs.Config, e *edition, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if cfg, err = load(); err != nil {
		return nil, nil, err
	}
	e, err = newEdition(cfg.Keeping(s.edition.config), s.shared)
	return cfg, e, err
}

// plan is what becomes of the doors.
type plan struct {
	doors  []*door            // in the order of the configuration
	kept   []configs.Listener // the settings of each door that stays; the zero value for new ones
	opened []*door
	closed []*door
}

// plan makes and opens the doors that are new. If one of them cannot be opened
// none is.
func (s *Server) plan(e *edition) (*plan, error) {
	p := &plan{closed: slices.Clone(s.doors), kept: make([]configs.Listener, len(e.config.Listeners))}
	p.doors = make([]*door, len(p.kept))
	for _, same := range []func(a, b configs.Listener) bool{sameName, sameSocket} {
		for i, l := range e.config.Listeners {
			j := slices.IndexFunc(p.closed, func(d *door) bool { return same(d.config, l) })
			if p.doors[i] == nil && j >= 0 {
				p.doors[i], p.kept[i] = p.closed[j], l
				p.closed = slices.Delete(p.closed, j, j+1)
			}
		}
	}
	for i, l := range e.config.Listeners {
		if p.doors[i] != nil {
			continue
		}
		d, err := s.newDoor(l, e)
		if err == nil {
			err = d.listen(&s.opener, s.log)
		}
		if err != nil {
			for _, d := range p.opened {
				d.close()
			}
			return nil, err
		}
		p.doors[i] = d
		p.opened = append(p.opened, d)
	}
	return p, nil
}

// sameSocket reports whether a listener can go on with the socket of another.
func sameSocket(a, b configs.Listener) bool {
	return a.Mode == b.Mode && a.Address == b.Address && a.SocketMode == b.SocketMode && a.SocketGroup == b.SocketGroup
}

func sameName(a, b configs.Listener) bool { return a.Name == b.Name && sameSocket(a, b) }

// enforce does what was planned; nothing of it can fail.
func (s *Server) enforce(p *plan, e *edition) {
	old := s.edition
	var overs []<-chan struct{}
	for i, d := range p.doors {
		if !slices.Contains(p.opened, d) {
			overs = append(overs, s.swap(d, p.kept[i], e))
		}
	}
	s.mu.Lock()
	s.edition, s.doors = e, p.doors
	if s.serving {
		for _, d := range p.opened {
			s.serve(d)
		}
	}
	s.mu.Unlock()
	for _, d := range p.closed {
		overs = append(overs, s.dismiss(d, old.config.DrainTimeout))
	}
	s.leaving.Go(func() {
		for _, over := range overs {
			<-over
		}
		if err := old.close(); err != nil {
			s.log.Warn("cannot close the former chain in order", "error", err)
		}
		s.log.Debug("the last session under a former configuration has ended")
	})
}

// dismiss ends a door that is no longer wanted.
func (s *Server) dismiss(d *door, patience time.Duration) (over <-chan struct{}) {
	ended := make(chan struct{})
	s.leaving.Go(func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(s.drain, patience)
		defer cancel()
		if d.front.Shutdown(ctx) != nil {
			s.dropped.CompareAndSwap(false, s.drain.Err() != nil)
			s.log.Warn("sessions were cut off", "listener", d.config.Name)
		}
		s.log.Info("stopped listening", "listener", d.config.Name, "address", d.socket.Addr().String())
	})
	return ended
}

// countLoaded notes that a configuration has come into force.
func (s *Server) countLoaded() { s.loaded.Set(float64(time.Now().UnixMilli()) / 1000) }

// Bounds of what a record tells.
const (
	maxChanges = 100
	maxProblem = 8 << 10 // octets
)

// logReload tells what has changed, and what will only change at a restart.
func (s *Server) logReload(changes []configs.Change, files []string) {
	var done, undone []string
	for _, c := range changes {
		if c.Restart {
			undone = append(undone, c.Name())
		} else {
			done = append(done, c.String())
		}
	}
	for _, name := range files {
		done = append(done, "file "+name+": changed")
	}
	if n := len(done) - maxChanges; n > 0 {
		done = append(done[:maxChanges], fmt.Sprintf("and %d more", n))
	}
	s.log.Info("loaded the configuration again", "changes", done)
	if len(undone) > 0 {
		s.log.Warn("some settings have changed that need a restart; the old ones stay in force", "settings", undone)
	}
}

// bounded cuts a text at the end of a line.
func bounded(text string) string {
	if len(text) <= maxProblem {
		return text
	}
	text = text[:maxProblem]
	if i := strings.LastIndexByte(text, '\n'); i > 0 {
		text = text[:i]
	}
	return strings.ToValidUTF8(text, "") + "\n..."
}
