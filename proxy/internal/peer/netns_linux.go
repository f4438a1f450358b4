package peer

import (
	"os"

	"golang.org/x/sys/unix"
)

// enter moves the calling thread into the network namespace of that name.
func enter(name string) error {
	file, err := os.Open("/run/netns/" + name)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
}
