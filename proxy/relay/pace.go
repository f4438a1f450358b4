package relay

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// errSlow is why a text that comes in drops is given up.
var errSlow = errors.New("the text comes too slowly")

// pace is how fast a message has come so far.
type pace struct {
	octets int
	waited time.Duration
}

// left returns how long the client may wait with the next octets: it has
// patience in all, and what its octets earn at the least rate, in octets per
// second. So do request deadlines in Postfix (smtpd_min_data_rate).
func (p *pace) left(patience time.Duration, rate int) time.Duration {
	earned := time.Duration(float64(p.octets) / float64(rate) * float64(time.Second))
	return patience + earned - p.waited
}

// paced reads content of the client by fill, while its pace allows.
func (s *session) paced(fill func() error) error {
	patience, haste, rate := s.relay.dataTime(), s.relay.Stress.DataBlock, s.relay.MinRate
	if rate <= 0 {
		s.expect(patience, haste)
		return fill()
	}
	p := &s.tx.pace
	left := p.left(patience, rate)
	if left <= 0 {
		return errSlow
	}
	s.expect(min(patience, left), haste)
	before := s.in.Buffered()
	err := fill()
	p.waited += time.Since(s.since)
	p.octets += max(s.in.Buffered()-before, 0)
	if left < patience && errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %v", errSlow, err)
	}
	return err
}
