package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of what those who watch may take.
const (
	maxAdminConnections = 32
	maxAdminHeader      = 16 << 10 // octets
	adminReadTimeout    = 5 * time.Second
	adminWriteTimeout   = 30 * time.Second
	adminIdleTimeout    = 2 * time.Minute // Prometheus scrapes once a minute by default
	adminEndTimeout     = time.Second     // for scrapes under way when the program ends
	adminSocketMode     = 0o660
)

// admin is where the operator looks into the running program.
type admin struct {
	socket net.Listener
	server *http.Server
}

// listenAdmin opens the socket at host:port or unix:/path.
func listenAdmin(o *opener, address string, pages http.Handler, log *slog.Logger) (*admin, error) {
	socket, _, err := o.listenAdmin(address)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	log.Info("serving metrics", "address", socket.Addr().String())
	if at, ok := socket.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		log.Warn("metrics are served to every machine that can connect: let a firewall choose, or set admin.address to one on loopback",
			"address", socket.Addr().String())
	}
	return &admin{
		socket: netutil.LimitListener(socket, maxAdminConnections),
		server: &http.Server{
			Handler:           pages,
			ReadHeaderTimeout: adminReadTimeout,
			ReadTimeout:       adminReadTimeout,
			WriteTimeout:      adminWriteTimeout,
			IdleTimeout:       adminIdleTimeout,
			MaxHeaderBytes:    maxAdminHeader,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}, nil
}

// serve answers until close.
func (a *admin) serve() error {
	if err := a.server.Serve(a.socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// close ends it, and gives those who read a moment.
func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), adminEndTimeout)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		a.server.Close()
	}
	a.socket.Close() // in case that it was never served
}
