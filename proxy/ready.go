package proxy

import (
	"errors"
	"fmt"

	"github.com/mailweir/mailweir/configs"
)

// Ready tells why clients should not be sent here, nil if they should: the
// configuration is in force, all listeners accept, each relay has an upstream
// that is not known to be out, and the program is not ending.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return errEnded
	case !s.serving:
		return errors.New("the program is starting")
	}
	var errs []error
	for _, d := range s.doors {
		name := d.config.Name
		if d.loop != nil && d.loop.ended.Load() {
			errs = append(errs, fmt.Errorf("listener %s has ended", name))
		}
		if d.config.Mode != configs.Relay {
			continue
		}
		if g := s.edition.groups[d.config.Upstream.Name]; g != nil && !g.Up() {
			errs = append(errs, fmt.Errorf("listener %s: no server of its upstream can be reached: %s", name, upstreamText(d.config.Upstream)))
		}
	}
	return errors.Join(errs...)
}
