package relay

import "time"

// stressed reports whether there are so many sessions that waits are cut short.
func (t *terms) stressed() bool {
	return t.Stress.Share > 0 && t.Limiter.load() >= t.Stress.Share
}

// short returns how long to wait for a client, now: for its next command, or
// for anything else that is not message text.
func (t *terms) short(wait time.Duration) time.Duration {
	if t.stressed() {
		return min(wait, t.Stress.Command)
	}
	return wait
}

// dataTime is how long it has for the next octets of a text, now.
func (t *terms) dataTime() time.Duration {
	if t.stressed() {
		return min(t.Timeouts.DataBlock, t.Stress.DataBlock)
	}
	return t.Timeouts.DataBlock
}

// hurryAgain is how often the sessions that wait already are looked at.
const hurryAgain = time.Second

// hurry cuts short the waits that have begun while there was no stress: they are
// of the sessions that brought it about.
func (r *Relay) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.hurried) < hurryAgain {
		return
	}
	r.hurried = now
	for s := range r.sessions {
		s.hurry(now)
	}
}

// hurry gives a client no longer for its next command than one has that begins
// to wait now. Each wait is cut short once, or it would not end. The deadline is
// the session's own but for while it waits.
func (s *session) hurry(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := now.Add(s.relay.Stress.Command)
	switch {
	case !s.waiting:
		s.hurried = true // it may be about to
	case !s.draining && end.Before(s.deadline):
		s.deadline = end
		s.conn.SetReadDeadline(end)
	}
}

// heed cuts a wait short that begins with what was true before the stress. It is
// called with mu held.
func (s *session) heed() {
	if end := time.Now().Add(s.relay.Stress.Command); s.waiting && end.Before(s.deadline) {
		s.deadline = end
	}
	s.hurried = false
}
