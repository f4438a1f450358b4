package proxy

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mailweir/mailweir/filters/env"
)

// stateRetry is the time between attempts to open a state file that another
// process uses.
const stateRetry = time.Second

// openState opens the state file. With reuse_port another process may have it
// still: it is then waited for, while the filters remember in memory.
func (s *Server) openState() error {
	err := explainState(s.shared.host.Start())
	if !s.opener.shared || !errors.Is(err, env.ErrInUse) {
		return err
	}
	s.log.Info("the state file is in use, it is waited for", "error", err)
	s.waiting.Go(func() {
		tick := time.NewTicker(stateRetry)
		defer tick.Stop()
		for {
			select {
			case <-s.drain.Done():
				return
			case <-tick.C:
			}
			err := s.shared.host.Start()
			switch {
			case err == nil:
				s.log.Info("the state file is open")
				return
			case !errors.Is(err, env.ErrInUse):
				s.log.Error("the state file cannot be opened, all is kept in memory only", "error", explainState(err))
				return
			}
		}
	})
	return nil
}

// explainState tells whose file it should be.
func explainState(err error) error {
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: user %d must be able to write the file and its folder: give them to that user, with chown", err, os.Geteuid())
}
