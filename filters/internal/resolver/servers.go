package resolver

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	lookEvery  = 5 * time.Second // between looks at resolv.conf
	maxConf    = 64 << 10        // octets of it that are read
	troubleFor = 30 * time.Second
	noEDNSFor  = 15 * time.Minute

	systemConf = "/etc/resolv.conf"
)

// localServer is asked when the file names none, as resolv.conf(5) says.
var localServer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53)

// server is a name server and what is known about its ways.
type server struct {
	addr netip.AddrPort

	mu      sync.Mutex
	trouble time.Time // asked last until then
	noEDNS  time.Time // asked without EDNS until then
	plain   bool      // asked without random case, which it does not keep
	strikes int       // replies in other letters in a row
}

// servers are those to ask.
type servers struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	list   []*server
	path   string      // "" if the list is fixed
	looked time.Time   // when path was last looked at
	seen   os.FileInfo // what list was read from
	fault  string      // what is wrong with path now, as it was logged
}

func openServers(o *Options) (*servers, error) {
	s := &servers{log: o.Log, now: o.Now}
	if len(o.Servers) > 0 {
		s.use(o.Servers)
		return s, nil
	}
	s.path, s.looked = o.ResolvConf, s.now()
	if s.path == "" {
		s.path = systemConf
	}
	err := s.load()
	if err != nil && o.ResolvConf == "" && os.IsNotExist(err) {
		s.use([]netip.AddrPort{localServer})
		err = nil
	}
	return s, err
}

// inOrder returns the servers, those that gave trouble last.
func (s *servers) inOrder() []*server {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.path != "" && now.Sub(s.looked) >= lookEvery {
		s.looked = now
		s.look()
	}
	good, bad := make([]*server, 0, len(s.list)), []*server(nil)
	for _, one := range s.list {
		if one.isInTrouble(now) {
			bad = append(bad, one)
		} else {
			good = append(good, one)
		}
	}
	return append(good, bad...)
}

// look reads the file again if it has changed. The old servers stay if it is
// gone or unreadable.
func (s *servers) look() {
	info, err := os.Stat(s.path)
	if err == nil && s.seen != nil && os.SameFile(s.seen, info) && s.seen.Size() == info.Size() && s.seen.ModTime().Equal(info.ModTime()) {
		s.fault = ""
		return
	}
	if err == nil {
		err = s.load()
	}
	switch {
	case err == nil:
		s.fault = ""
		s.log.Info("dns: name servers read again", "file", s.path, "servers", s.names())
	case s.seen == nil && os.IsNotExist(err):
		// It was absent from the start, which is in order.
	case err.Error() != s.fault:
		s.fault = err.Error()
		s.log.Error("dns: name servers cannot be read again, the old ones stay in use", "error", err)
	}
}

// load reads the file.
func (s *servers) load() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", s.path)
	}
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	conf, err := dns.ClientConfigFromReader(io.LimitReader(f, maxConf))
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	var addrs []netip.AddrPort
	for _, name := range conf.Servers {
		addr, err := netip.ParseAddr(name)
		if err != nil {
			s.log.Warn("dns: a name server is ignored: give its address", "file", s.path, "server", name)
			continue
		}
		if len(addrs) == maxServers {
			s.log.Warn("dns: the name servers from here on are ignored: there are too many", "file", s.path, "server", name, "limit", maxServers)
			break
		}
		addrs = append(addrs, netip.AddrPortFrom(addr, 53))
	}
	if len(addrs) == 0 {
		addrs = []netip.AddrPort{localServer}
	}
	s.seen = info
	s.use(addrs)
	return nil
}

// use puts the servers in force. What is known about those that stay is kept.
func (s *servers) use(addrs []netip.AddrPort) {
	known := map[netip.AddrPort]*server{}
	for _, one := range s.list {
		known[one.addr] = one
	}
	s.list = nil
	for _, addr := range addrs {
		if known[addr] == nil {
			known[addr] = &server{addr: addr}
		}
		s.list = append(s.list, known[addr])
	}
}

func (s *servers) names() []string {
	var names []string
	for _, one := range s.list {
		names = append(names, one.addr.String())
	}
	return names
}

func (s *server) isInTrouble(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.trouble)
}

// note remembers whether the server is worth asking first.
func (s *server) note(now time.Time, trouble bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = time.Time{}
	if trouble {
		s.trouble = now.Add(troubleFor)
	}
}

// speaksEDNS reports whether to ask with EDNS.
func (s *server) speaksEDNS(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !now.Before(s.noEDNS)
}

func (s *server) withoutEDNS(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noEDNS = now.Add(noEDNSFor)
}

// keepsCase reports whether to ask in random case.
func (s *server) keepsCase() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.plain
}

// maxStrikes is how many replies in other letters, with none in the right ones
// between, show that it is the server's way. A single one may be forged.
const maxStrikes = 3

// strike notes a reply over UDP in the letters of the question, or in others:
// certain if TCP brings those too. It returns true when the server has thereby
// shown that it does not keep the case.
func (s *server) strike(kept, certain bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept {
		s.strikes = 0
		return false
	}
	s.strikes++
	if s.plain || !certain && s.strikes < maxStrikes {
		return false
	}
	s.plain = true
	return true
}
