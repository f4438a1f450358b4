package main

import "syscall"

// otherFiles is how many files are open besides those of sessions: listeners,
// the log, the state, certificates, connections for DNS and metrics.
const otherFiles = 100

// warnOfFiles tells when the process may not open as many files as all its
// sessions need: two each, for the client and the upstream. Go has raised the
// soft limit to the hard one.
func (s *service) warnOfFiles() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	if need := uint64(2*s.config.Sessions.Max + otherFiles); uint64(limit.Cur) < need {
		s.log.Warn("there are too few open files for sessions.max: raise LimitNOFILE of the unit (or ulimit -Hn), or lower sessions.max",
			"limit", limit.Cur, "needed", need, "sessions.max", s.config.Sessions.Max)
	}
}
