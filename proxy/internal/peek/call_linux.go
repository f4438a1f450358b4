//go:build linux && !386 && !s390x

package peek

import (
	"syscall"
	"unsafe"
)

// The scheduler is not told of these calls, which never wait: it would prepare
// for that each time, and wake up a thread of its own to see how long they take.

// recv takes what there is, and EAGAIN if that is nothing.
func recv(fd uintptr, b []byte, flags int) (int, error) {
	return call(syscall.SYS_RECVFROM, fd, b, flags|syscall.MSG_DONTWAIT)
}

// send gives what the system takes.
func send(fd uintptr, b []byte) (int, error) {
	return call(syscall.SYS_SENDTO, fd, b, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func call(trap, fd uintptr, b []byte, flags int) (int, error) {
	for {
		n, _, err := syscall.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}
