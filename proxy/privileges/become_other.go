//go:build !linux

package privileges

import (
	"errors"
	"os/exec"

	"github.com/mailweir/mailweir/proxy/systemd"
)

// Become fails: start the program as the user it shall be.
func Become(User, []systemd.Socket, bool) error {
	return errors.New("user and group are for Linux only: leave them out, and start mailweir as that user")
}

// Command returns the command, as this user would run it.
func Command(_ User, name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }
