package privileges

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mailweir/mailweir/proxy/systemd"
)

// Become begins this program anew, with the same arguments, as another user: it
// does not return unless it fails, and then the process is to end, for it may
// have lost some of its rights. The sockets are passed as systemd passes them.
// netAdmin keeps the right to connect from foreign addresses (CAP_NET_ADMIN),
// and nothing else.
//
// The new image has none of what root had in memory, and all of its threads the
// same few rights: the kernel carries only those of the thread that calls over
// to it. No program that it may start can get more (no_new_privs).
func Become(u User, sockets []systemd.Socket, netAdmin bool) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // rights are a thread's
	if err := drop(u, netAdmin); err != nil {
		return fmt.Errorf("cannot become user %s: %w", u.Name, err)
	}
	names, err := arrange(sockets)
	if err != nil {
		return err
	}
	err = syscall.Exec(program, os.Args, systemd.Environ(os.Environ(), os.Getpid(), names))
	return fmt.Errorf("cannot start %s as user %s: %w: let that user execute it, and enter its folders", program, u.Name, err)
}

// Command returns the command, as it would be run by a program that has become
// that user.
func Command(u User, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	groups := make([]uint32, len(u.Groups))
	for i, g := range u.Groups {
		groups[i] = uint32(g)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID), Groups: groups},
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// drop takes the rights of root from the calling thread.
func drop(u User, netAdmin bool) error {
	var keep uint32
	if netAdmin {
		keep = 1 << unix.CAP_NET_ADMIN
	}
	if err := narrow(keep); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_KEEPCAPS", err)
	}
	if err := syscall.Setgroups(u.Groups); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	if err := syscall.Setresuid(u.UID, u.UID, u.UID); err != nil {
		return os.NewSyscallError("setresuid", err)
	}
	if err := retain(keep); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_NO_NEW_PRIVS", err)
	}
	if keep == 0 && syscall.Setuid(0) == nil {
		return fmt.Errorf("the process can become root again")
	}
	return nil
}

// narrow takes all capabilities but those kept out of what a program may ever
// have: the bounding set of capabilities(7). A root without CAP_SETPCAP, as
// containers may have, cannot do that; no_new_privs alone is enough.
func narrow(keep uint32) error {
	for c := range uintptr(64) {
		if c < 32 && keep&(1<<c) != 0 {
			continue
		}
		switch err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err {
		case nil:
		case unix.EINVAL, unix.EPERM: // the kernel knows no more
			return nil
		default:
			return os.NewSyscallError("prctl PR_CAPBSET_DROP", err)
		}
	}
	return nil
}

// retain gives away all capabilities but those kept, which the next program has
// too.
func retain(keep uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	sets := [2]unix.CapUserData{{Effective: keep, Permitted: keep, Inheritable: keep}}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capset", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_CAP_AMBIENT", err)
	}
	if keep == 0 {
		return nil
	}
	return os.NewSyscallError("prctl PR_CAP_AMBIENT",
		unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_ADMIN, 0, 0))
}

// firstFD is where sockets that are passed begin.
const firstFD = 3

// arrange puts the sockets where the next program looks for them, and returns
// their names. Nothing may use other files any more: they may be in the way.
func arrange(sockets []systemd.Socket) (names []string, err error) {
	fds := make([]int, len(sockets))
	for i, s := range sockets {
		fds[i], err = unix.FcntlInt(s.File.Fd(), unix.F_DUPFD_CLOEXEC, firstFD+len(sockets))
		if err != nil {
			return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
		}
		names = append(names, s.Name)
	}
	for i, fd := range fds {
		if err := unix.Dup3(fd, firstFD+i, 0); err != nil {
			return nil, os.NewSyscallError("dup3", err)
		}
	}
	return names, nil
}
