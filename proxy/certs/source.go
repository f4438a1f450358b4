package certs

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// content is what files say. It does not change.
type content struct {
	cert  *tls.Certificate // of a pair
	roots *x509.CertPool   // of a file of authorities

	begin, end time.Time // when it is valid
	exposed    bool      // every user of the machine may read the key
	skipped    int       // authorities that could not be read
}

// what names the content in the log.
func (c *content) what() string {
	if c.roots != nil {
		return "certificate authority"
	}
	return "certificate"
}

// origin names the files that are read together: those of a pair, or one of
// authorities.
type origin struct {
	Pair
	authorities string
}

func (o origin) read() (*content, error) {
	if o.authorities != "" {
		return readAuthorities(o.authorities)
	}
	return o.Pair.read()
}

// file is the one that people know the origin by.
func (o origin) file() string {
	if o.authorities != "" {
		return o.authorities
	}
	return o.Certificate
}

// state is what the files look like from outside.
func (o origin) state() state {
	if o.authorities != "" {
		return stateOf(o.authorities)
	}
	return stateOf(o.Certificate, o.Key)
}

// source is the content of files, and what is known of these. All but value is
// guarded by the mutex of the shelf.
type source struct {
	origin
	value atomic.Pointer[content] // never nil: what the files said when they were last in order
	users int

	seen  state  // what value was read from
	last  state  // what the last look saw
	fault string // what is wrong with the files now, as it was logged; "" for nothing
	bad   state  // what had that fault

	told   time.Time // when the validity was last complained of
	toldOf validity
}

func (s *source) load(now state) error {
	c, err := s.read()
	if err != nil {
		return err
	}
	s.value.Store(c)
	s.seen, s.last, s.fault = now, now, ""
	s.told = time.Time{}
	return nil
}

// look reads the files again if they have changed, and reports whether it has.
// Files that are broken or gone leave the old value in force, and are logged
// once; they are tried again at every look.
//
// A change counts when two looks see the same. Certificate and key are seldom
// exchanged at once, and a chain that is still being written would read as a
// shorter one that is in order.
func (s *source) look(log *slog.Logger) (loaded bool) {
	now := s.state()
	settled := now.same(s.last)
	s.last = now
	switch {
	case !settled:
		return false
	case now.same(s.seen):
		s.mended(log)
		return false
	}
	if err := s.load(now); err != nil {
		s.broken(log, now, err)
		return false
	}
	return true
}

func (s *source) broken(log *slog.Logger, now state, err error) {
	if s.fault == err.Error() && now.same(s.bad) {
		return
	}
	s.fault, s.bad = err.Error(), now
	log.Error("files of TLS are unusable, what they said before stays in force", "error", err)
}

// mended tells that the files in force have come back as they were.
func (s *source) mended(log *slog.Logger) {
	if s.fault == "" {
		return
	}
	s.fault = ""
	log.Info("files of TLS are in order again", "file", s.file())
}

// state is what files look like: one entry for each.
type state []mark

// mark is a file as it is found behind links; nil info stands for a fault.
type mark struct {
	info  os.FileInfo
	fault string
}

func stateOf(names ...string) state {
	s := make(state, len(names))
	for i, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			s[i].fault = err.Error()
			continue
		}
		s[i].info = info
	}
	return s
}

func (s state) same(other state) bool {
	if len(s) != len(other) {
		return false
	}
	for i := range s {
		if !s[i].same(other[i]) {
			return false
		}
	}
	return true
}

func (m mark) same(other mark) bool {
	a, b := m.info, other.info
	if a == nil || b == nil {
		return a == nil && b == nil && m.fault == other.fault
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() && a.ModTime().Equal(b.ModTime())
}
