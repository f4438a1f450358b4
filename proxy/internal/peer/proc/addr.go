package proc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports of FreeAddr lie below those that Linux gives to who asks for none
// (ip_local_port_range), so that no client and no other listener gets one.
const lowest, highest = 10000, 32767

// given are the ports that FreeAddr has returned.
var given sync.Map

// FreeAddr returns the address of host, which is an IP address of this machine,
// with a port that nobody listens at, and that is never returned again. Another
// process that does the same may take it first: whoever starts a program there
// must be ready to try again.
func FreeAddr(host string) (string, error) {
	var faults []error
	for range 100 {
		port := lowest + rand.IntN(highest-lowest+1)
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
		faults = append(faults, err)
	}
	return "", fmt.Errorf("no port is free: %w", errors.Join(faults...))
}
