package main

import (
	"os"
	"runtime"
)

// processors is how many there are, as Go sees them at the start: a limit of the
// control group counts.
var processors = runtime.GOMAXPROCS(0)

// useProcessors bounds how many are used at once. What is in the environment goes
// before what is in the configuration, as it does for other programs in Go.
func (s *service) useProcessors() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	n := s.config.Processors
	if n == 0 {
		n = (processors + 1) / 2
	}
	if n != runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
}
