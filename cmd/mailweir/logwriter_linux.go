package main

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// promptWriter writes to a file without telling Go's scheduler, where the system
// knows beforehand that the write does not wait: to pipes and sockets, as service
// managers and containers have them. For other writes the scheduler wakes up a
// thread of its own, which sees how long they take.
type promptWriter struct {
	*os.File
	fd    uintptr
	waits atomic.Bool // the system does not know that of this file
}

// newLogWriter returns w, or what writes to it for less.
func newLogWriter(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return w
	}
	p := &promptWriter{File: f}
	raw, err := f.SyscallConn()
	if err != nil || raw.Control(func(fd uintptr) { p.fd = fd }) != nil {
		return w
	}
	return p
}

// Write implements io.Writer. The file must not have been closed.
func (p *promptWriter) Write(b []byte) (int, error) {
	n := p.tryWrite(b)
	if n == len(b) {
		return n, nil
	}
	rest, err := p.File.Write(b[n:])
	return n + rest, err
}

// tryWrite writes what can be written at once. What is wrong, if anything is, the
// write of the rest tells.
func (p *promptWriter) tryWrite(b []byte) int {
	if len(b) == 0 || p.waits.Load() {
		return 0
	}
	vec := unix.Iovec{Base: unsafe.SliceData(b)}
	vec.SetLen(len(b))
	const here = ^uintptr(0) // where the file is
	n, _, err := syscall.RawSyscall6(unix.SYS_PWRITEV2, p.fd, uintptr(unsafe.Pointer(&vec)), 1, here, here, unix.RWF_NOWAIT)
	if err == 0 {
		return int(n)
	}
	if err != unix.EAGAIN && err != unix.EINTR {
		p.waits.Store(true)
	}
	return 0
}
