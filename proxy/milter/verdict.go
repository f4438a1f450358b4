package milter

import (
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters/chain"
)

// verdict asks for the last time. It may take long, so the MTA is told from
// time to time that we are at work: here, and nowhere else, since Sendmail
// takes such a sign at any other stage for the answer.
func (s *session) verdict(m lib.Modifier) chain.Decision {
	stop := s.progress(m)
	defer stop() // before anything else is written
	return s.run.Message()
}

// progress begins the signs of life, and returns what ends them. When one
// cannot be given the MTA is gone, and what filters do for it ends.
func (s *session) progress(m lib.Modifier) (stop func()) {
	if m.Version() < newest {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(s.terms.Timeouts.Progress)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				if m.Progress() != nil {
					s.guard.cut("mta_lost")
					return
				}
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
