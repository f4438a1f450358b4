package systemd

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Reloading tells that the configuration is being loaded again; Ready ends it.
// The time lets the manager tell this reload from the last one.
func Reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}
