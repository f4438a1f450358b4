// Package systemd is what a program and the service manager that has started
// it tell each other: which sockets it gets, how it is, and when to start it
// anew. Without a manager all of it does nothing.
package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// The environment in which sockets are passed: sd_listen_fds(3).
const (
	listenPID   = "LISTEN_PID"
	listenFDs   = "LISTEN_FDS"
	listenNames = "LISTEN_FDNAMES"

	firstFD    = 3
	maxSockets = 1000 // more are a mistake
)

// Socket is one that was opened by another program, which still may have it.
type Socket struct {
	Name string // FileDescriptorName= of its unit, which is its file's name if that is not set
	File *os.File
}

// Sockets returns those that were passed to this process. It takes them out of
// the environment: call it once, before anything else opens files. They are not
// inherited by programs that this one starts.
func Sockets() ([]Socket, error) {
	pid, count, names := os.Getenv(listenPID), os.Getenv(listenFDs), os.Getenv(listenNames)
	for _, name := range []string{listenPID, listenFDs, listenNames} {
		os.Unsetenv(name)
	}
	if pid == "" || count == "" {
		return nil, nil
	}
	if pid != strconv.Itoa(os.Getpid()) { // they are another one's, such as a shell's that started us
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("environment %s: want a number from 0 to %d, got %q", listenFDs, maxSockets, count)
	}
	list := strings.Split(names, ":")
	if names != "" && len(list) != n {
		return nil, fmt.Errorf("environment %s: want %d names, got %d", listenNames, n, len(list))
	}
	sockets := make([]Socket, n)
	for i := range sockets {
		name := "unknown" // as sd_listen_fds_with_names(3) calls it
		if names != "" {
			name = list[i]
		}
		fd := firstFD + i
		syscall.CloseOnExec(fd)
		sockets[i] = Socket{Name: name, File: os.NewFile(uintptr(fd), name)}
	}
	return sockets, nil
}

// Environ returns an environment in which a process finds sockets of those
// names, which are its descriptors from 3 on.
func Environ(environ []string, pid int, names []string) []string {
	var out []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if name != listenPID && name != listenFDs && name != listenNames {
			out = append(out, variable)
		}
	}
	if len(names) == 0 {
		return out
	}
	return append(out,
		listenPID+"="+strconv.Itoa(pid),
		listenFDs+"="+strconv.Itoa(len(names)),
		listenNames+"="+strings.Join(names, ":"))
}
