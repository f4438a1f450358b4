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

// hurry gives a client no longer for what it owes than one has that is waited for
// from now on.
func (s *session) hurry(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.reading:
		s.hurried = true // it may be about to
	case s.isCut || s.draining && s.waiting || s.hearing != nil: // that ends sooner
	case s.cutShort(now):
		s.conn.SetReadDeadline(s.since.Add(s.patience))
	}
}

// cutShort leaves the client less patience, if it has too much. A wait is cut short
// once, or it would not end. It is called with mu held; what it changes is the
// session's own but for while it reads.
func (s *session) cutShort(now time.Time) bool {
	left := now.Add(s.haste).Sub(s.since)
	if left >= s.patience {
		return false
	}
	s.patience = left
	return true
}
