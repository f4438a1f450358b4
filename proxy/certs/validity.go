package certs

import (
	"log/slog"
	"time"
)

// When the end of a certificate is complained of.
const (
	warnBefore = 21 * 24 * time.Hour // clients of ACME renew 30 days before
	warnEvery  = 24 * time.Hour
)

// validity is what there is to complain of.
type validity uint8

const (
	valid validity = iota
	expiresSoon
	expired
	early
)

func (c *content) validity(now time.Time) validity {
	switch {
	case !now.Before(c.end):
		return expired
	case now.Before(c.begin):
		return early
	case now.Add(warnBefore).After(c.end):
		return expiresSoon
	}
	return valid
}

// complain tells of a certificate that is not valid, or soon will not be: when
// it is read, when that changes, and once a day.
func (s *source) complain(log *slog.Logger, now time.Time) {
	c := s.value.Load()
	is := c.validity(now)
	if is == s.toldOf && !s.told.IsZero() && now.Sub(s.told) < warnEvery {
		return
	}
	s.told, s.toldOf = now, is
	switch is {
	case expiresSoon:
		log.Warn(c.what()+" expires soon", "file", s.file(), "not_after", stamp(c.end), "days", int(c.end.Sub(now)/(24*time.Hour)))
	case expired:
		log.Error(c.what()+" has expired", "file", s.file(), "not_after", stamp(c.end))
	case early:
		log.Error(c.what()+" is not valid yet", "file", s.file(), "not_before", stamp(c.begin))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
