package socket

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// share lets others listen beside a socket that is not bound yet. The kernel
// asks that all of them belong to one user.
func share(fd, owner int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
	}
	if owner == 0 {
		return nil
	}
	return os.NewSyscallError("fchown", unix.Fchown(fd, owner, -1))
}

// accepts reports whether connections can be accepted from the socket.
func accepts(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	value := 0
	err = raw.Control(func(fd uintptr) { value, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN) })
	return err == nil && value == 1
}

// successor is the program of the packet filter that chooses among the sockets
// of an address: the second of them. They are counted in the order in which
// they were opened, so the first is that of the oldest process, who is the one
// to leave. Where there is no second, the kernel chooses by itself.
var successor = [...]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 1}}

// Yield has new connections go to the process that has come to listen at the
// same address, if there is one, and reports whether the socket is a shared one.
// Connections that are being made still arrive here: go on to accept them for a
// while. Closing the socket would reset them.
func Yield(l net.Listener) (shared bool) {
	control(l, func(fd int) {
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT); err != nil || on == 0 {
			return
		}
		program := successor
		err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
		shared = err == nil
	})
	return shared
}

// unsteer takes back what Yield of a former process has chosen for the address:
// it would send all connections to one that has just come.
func unsteer(l net.Listener) {
	control(l, func(fd int) {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0) // fails if there is nothing to take back
	})
}
