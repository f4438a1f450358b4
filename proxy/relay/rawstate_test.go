package relay_test

import (
	"sync"
	"syscall"
)

// state is what a look at a connection finds.
type state int

const (
	idle state = iota
	readable
	hungUp
)

// rawState is the syscall.RawConn of a connection that is no socket: it shows
// a real one that is in the state the connection is in.
type rawState func() state

func (r rawState) Read(func(uintptr) bool) error  { panic("not used") }
func (r rawState) Write(func(uintptr) bool) error { panic("not used") }

func (r rawState) Control(look func(fd uintptr)) error {
	look(uintptr(examples()[r()]))
	return nil
}

// examples are sockets in each state.
var examples = sync.OnceValue(func() (fds [3]int) {
	for i := range fds {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			panic(err)
		}
		switch fds[i] = pair[0]; state(i) {
		case readable:
			syscall.Write(pair[1], []byte("x"))
		case hungUp:
			syscall.Close(pair[1])
		}
	}
	return fds
})
