//go:build linux

package proxy_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// restarts is how often the program is started again under load, and
// restartPace how many messages are acknowledged between.
const (
	restarts    = 20
	restartPace = 100
)

func rounds() int {
	if testing.Short() {
		return 3
	}
	return restarts
}

const restartConfig = `hostname: weir.example
log: {level: info}
drain_timeout: 10s
%s
listeners: [{name: mx, address: %q, upstream: {address: %q}}]
sessions: {max_per_client: 1000}
chain: [{helo: {}}]
`

// TestRestartKeptSocket restarts the program under load, while another one keeps
// the socket: no client is refused or cut off, and nothing is lost or doubled.
func TestRestartKeptSocket(t *testing.T) {
	sink := peer.Sink(t)
	p := newParent(t, "")
	at := p.pass("mx", "tcp", "127.0.0.1:0")
	p.configure(fmt.Sprintf(restartConfig, "", at, sink.Addr))
	running := p.start().ready()
	clients := gather(at)
	for range rounds() {
		clients.pace(t, restartPace)
		running.stop()
		running = p.start().ready()
	}
	clients.pace(t, restartPace)
	clients.leave(t, sink)
	running.stop()
}

// TestRestartSharedPort has a new process follow the old one at the same port
// again and again: no client is refused or cut off, and nothing is lost or
// doubled.
func TestRestartSharedPort(t *testing.T) {
	sink := peer.Sink(t)
	at := peer.FreeAddr(t)
	p := newParent(t, fmt.Sprintf(restartConfig, "reuse_port: true", at, sink.Addr))
	running := p.start().ready()
	clients := gather(at)
	for range rounds() {
		clients.pace(t, restartPace)
		next := p.start("--take-over", strconv.Itoa(running.cmd.Process.Pid)).ready()
		running.wait()
		running = next
	}
	clients.pace(t, restartPace)
	clients.leave(t, sink)
	running.stop()
}
