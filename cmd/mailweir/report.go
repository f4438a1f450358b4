package main

import (
	"fmt"
	"time"

	"github.com/mailweir/mailweir/proxy/systemd"
)

const (
	statusEvery = 10 * time.Second

	// stopMargin is what an end may take besides drain_timeout: to leave new
	// clients to another process, and to write the state file.
	stopMargin = 10 * time.Second
)

// tell tells the service manager something, if there is one.
func (s *service) tell(lines ...string) {
	if err := s.notify.Send(lines...); err != nil {
		s.log.Warn("the service manager cannot be told how mailweir is", "error", err)
	}
}

// status is what the manager shows of the service.
func (s *service) status(note string) string {
	text := fmt.Sprintf("%d sessions", s.server.Sessions())
	if note != "" {
		text += "; " + note
	}
	return systemd.Status(text)
}

// report tells the manager that the service is ready, and from then on how it
// is, until stop is called.
func (s *service) report() (stop func()) {
	if !s.notify.Wanted() {
		return func() {}
	}
	s.tell(systemd.Ready, s.status(""))
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		s.keepReporting(ended)
	}()
	return func() {
		close(ended)
		<-done
	}
}

// keepReporting says that the service is alive twice in the time in which the
// manager wants to hear it, and only if clients are being accepted.
func (s *service) keepReporting(ended <-chan struct{}) {
	status := time.NewTicker(statusEvery)
	defer status.Stop()
	patience := systemd.Watchdog() / 2
	var alive <-chan time.Time
	if patience > 0 {
		tick := time.NewTicker(patience)
		defer tick.Stop()
		alive = tick.C
	}
	last := ""
	for {
		select {
		case <-ended:
			return
		case <-alive:
			if err := s.server.Healthy(patience); err != nil {
				s.log.Error("mailweir is not well, and lets the service manager start it again", "error", err)
				continue
			}
			s.tell(systemd.Alive)
		case <-status.C:
			if now := s.status(""); now != last {
				s.tell(now)
				last = now
			}
		}
	}
}
