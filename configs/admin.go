package configs

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Admin is how the operator looks into the running program.
type Admin struct {
	Address string `yaml:"address" format:"admin" doc:"where to serve /metrics, /healthz and /readyz over HTTP, to everybody who can connect: host:port, or :port for 127.0.0.1, or unix:/path; empty to serve nothing"`
	Pprof   bool   `yaml:"pprof" doc:"serve profiles of the running program too, below /debug/pprof/"`
}

// At returns where to serve: host:port or unix:/path, "" for nowhere. Without a
// host that is loopback; all addresses of the machine have to be spelt out.
func (a Admin) At() string {
	if strings.HasPrefix(a.Address, ":") {
		return "127.0.0.1" + a.Address
	}
	return a.Address
}

// local reports whether only this machine can connect.
func (a Admin) local() bool {
	if strings.HasPrefix(a.Address, "unix:") {
		return true
	}
	host, _, _ := net.SplitHostPort(a.At())
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost"
}

// ofAdmin tells of profiles that nobody sees, or anybody.
func (m *mistakes) ofAdmin(a Admin) {
	switch {
	case !a.Pprof:
	case a.Address == "":
		m.add("admin.pprof", "nothing is served without admin.address")
	case !a.local():
		m.add("admin.pprof", fmt.Sprintf("whoever can connect to %s can have the program profiled, which costs time and shows how it works: let admin.address be one on loopback, or a Unix socket", a.At()))
	}
}
