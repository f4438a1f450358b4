//go:build linux && !386 && !s390x

package door

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The scheduler is not told of these calls, which never wait: it would prepare for
// that each time, and wake up a thread of its own to see how long they take.

// accept takes a connection from a listener that does not wait.
func accept(listener uintptr) (fd int, client netip.AddrPort, err error) {
	var from syscall.RawSockaddrAny
	size := uint32(syscall.SizeofSockaddrAny)
	const flags = syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, listener,
		uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)), flags, 0, 0)
	if errno != 0 {
		return noSocket, client, errno
	}
	return int(n), addrOf(&from), nil
}

// addrOf is Addr for what the kernel tells. An address with a zone, of which the
// kernel tells the number and package net the name, counts as none.
func addrOf(from *syscall.RawSockaddrAny) netip.AddrPort {
	switch from.Addr.Family {
	case syscall.AF_INET:
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(&a.Port))
	case syscall.AF_INET6:
		a := (*syscall.RawSockaddrInet6)(unsafe.Pointer(from))
		if a.Scope_id == 0 {
			return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), port(&a.Port))
		}
	}
	return netip.AddrPort{}
}

// port reads a port, which stands there in the order of the network.
func port(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}

func send(fd uintptr, b []byte, flags uintptr) {
	syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		flags|syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
}

func receive(fd uintptr, b []byte) {
	syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		syscall.MSG_DONTWAIT, 0, 0)
}

func shutdown(fd uintptr) { syscall.RawSyscall(syscall.SYS_SHUTDOWN, fd, syscall.SHUT_WR, 0) }

// closeSocket closes a socket that does not linger.
func closeSocket(fd uintptr) { syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0) }

// duplicate returns another descriptor of the same socket.
func duplicate(fd uintptr) (int, error) { return unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }
