package milter

import (
	"net"
	"syscall"
)

// quickAck returns what makes the kernel acknowledge what was read at once.
// Sendmail sends an event and its macros as two packets and waits, by Nagle's
// algorithm, for the first to be acknowledged: 40 ms for each event. The kernel
// forgets the order soon, so it is given after each read.
func quickAck(conn net.Conn) func() {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return func() {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func() {}
	}
	set := func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) }
	return func() { raw.Control(set) }
}
