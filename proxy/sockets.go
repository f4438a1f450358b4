package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/proxy/internal/socket"
	"github.com/mailweir/mailweir/proxy/milter"
	"github.com/mailweir/mailweir/proxy/systemd"
)

// adminName is what a passed socket is called that is not for a listener.
const adminName = "admin"

// opener opens sockets, or takes those that were passed to the process.
type opener struct {
	shared bool // another mailweir may listen there too
	owner  int  // of shared sockets; see socket.Options
	passed []systemd.Socket
}

// Take gives the server sockets that another process has opened. A listener of
// the name of one uses it, and so does the admin page, by the name of admin; all
// others open their own. Call it before Listen.
func (s *Server) Take(sockets []systemd.Socket) { s.opener.passed = sockets }

// OpenSockets opens all that the configuration listens at, for a process that is
// to Take them, which may have fewer rights. owner is the user it runs as.
// Those that were passed to this process are among them if they are of use.
func OpenSockets(cfg *configs.Config, passed []systemd.Socket, owner int, log *slog.Logger) ([]systemd.Socket, error) {
	o := opener{shared: cfg.ReusePort, owner: owner, passed: passed}
	var all []systemd.Socket
	add := func(name string, l net.Listener, _ bool, err error) error {
		if err != nil {
			return err
		}
		f, err := l.(interface{ File() (*os.File, error) }).File()
		all = append(all, systemd.Socket{Name: socketName(name), File: f})
		return err
	}
	for _, l := range cfg.Listeners {
		socket, passed, err := o.listen(l)
		if err := add(l.Name, socket, passed, err); err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
	}
	if cfg.Admin.Address != "" {
		socket, passed, err := o.listenAdmin(cfg.Admin.Address)
		if err := add(adminName, socket, passed, err); err != nil {
			return nil, fmt.Errorf("admin: %w", err)
		}
	}
	o.dismiss(log)
	return all, nil
}

// listen opens a listener's socket, and reports whether it was one of those that
// were passed.
func (o *opener) listen(l configs.Listener) (net.Listener, bool, error) {
	network, address := "tcp", l.Address
	if l.Mode == configs.MTA {
		network, address = milter.Network(l.Address)
	}
	if socket, err := o.take(l.Name, network, address); socket != nil || err != nil {
		return socket, true, err
	}
	if network == "unix" {
		s := milterSocket(l)
		s.Replace = o.shared
		socket, err := s.Listen()
		return socket, false, explain(err)
	}
	return o.open(network, address)
}

// listenAdmin is listen for the admin page, at host:port or unix:/path.
func (o *opener) listenAdmin(address string) (net.Listener, bool, error) {
	network, path, unix := "tcp", "", false
	if path, unix = strings.CutPrefix(address, "unix:"); unix {
		network = "unix"
	} else {
		path = address
	}
	if socket, err := o.take(adminName, network, path); socket != nil || err != nil {
		return socket, true, err
	}
	if unix {
		socket, err := milter.Socket{Address: address, Mode: adminSocketMode, Replace: o.shared}.Listen()
		return socket, false, explain(err)
	}
	return o.open(network, address)
}

func (o *opener) open(network, address string) (net.Listener, bool, error) {
	socket, err := socket.Listen(network, address, socket.Options{Shared: o.shared, Owner: o.owner})
	return socket, false, explain(err)
}

// take returns the first socket of that name that fits, nil if none has the
// name. If one has, and none fits, it is an error.
func (o *opener) take(name, network, address string) (net.Listener, error) {
	var errs []error
	for i, s := range o.passed {
		if s.Name != socketName(name) {
			continue
		}
		l, err := socket.Adopt(s.File, network, address)
		if err == nil {
			o.passed = slices.Delete(slices.Clone(o.passed), i, i+1)
			return l, nil
		}
		errs = append(errs, fmt.Errorf("the socket %s that was passed to mailweir cannot be used: %w", s.Name, err))
	}
	return nil, errors.Join(errs...)
}

// socketName is what the socket of a listener is called among those that are
// passed: FileDescriptorName= of systemd.socket(5) has no other characters.
func socketName(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == ':' {
			return '_'
		}
		return r
	}, name)
}

// dismiss closes the sockets that nobody has taken.
func (o *opener) dismiss(log *slog.Logger) {
	for _, s := range o.passed {
		log.Warn("a socket that was passed to mailweir is not used: name it like a listener, with FileDescriptorName= in its unit", "socket", s.Name)
		s.File.Close()
	}
	o.passed = nil
}

// explain tells what to do about an address that this user may not have.
func explain(err error) error {
	if !errors.Is(err, os.ErrPermission) || os.Geteuid() == 0 {
		return err
	}
	return fmt.Errorf("%w: user %d may not open it; "+
		"start mailweir as root, with user set, or have systemd open it, or give it CAP_NET_BIND_SERVICE; a reload cannot do that, a restart can",
		err, os.Geteuid())
}

// yieldTime is how long connections may still be in the making when another
// process listens too: the round trip to the farthest client, with a SYN-ACK
// that is lost once and sent again after a second (RFC 6298 section 2).
const yieldTime = 2 * time.Second

// yield has new clients go to the process that listens beside this one, if there
// is one, and goes on to serve those that still come.
func (s *Server) yield(ctx context.Context) {
	shared := false
	s.mu.Lock()
	for _, d := range s.doors {
		shared = d.socket != nil && socket.Yield(d.socket) || shared
	}
	serving := s.serving
	s.mu.Unlock()
	if !shared || !serving {
		return
	}
	timer := time.NewTimer(yieldTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
