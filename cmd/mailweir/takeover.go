package main

import (
	"bytes"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"
)

const takeOverFlag = "take-over"

// formerProcess returns the process that the command is to take over from, 0 for
// none. It must be a mailweir.
func formerProcess(cmd *cobra.Command) (int, error) {
	if cmd.Flags().Lookup(takeOverFlag) == nil {
		return 0, nil
	}
	pid, err := cmd.Flags().GetInt(takeOverFlag)
	if err != nil || !cmd.Flags().Changed(takeOverFlag) {
		return 0, err
	}
	if pid <= 1 || pid == os.Getpid() {
		return 0, fmt.Errorf("flag --%s: want the process of the mailweir that runs, got %d", takeOverFlag, pid)
	}
	theirs, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return 0, fmt.Errorf("flag --%s: there is no process %d: leave the flag out", takeOverFlag, pid)
	}
	if mine, err := os.ReadFile("/proc/self/comm"); err == nil && !bytes.Equal(mine, theirs) {
		return 0, fmt.Errorf("flag --%s: process %d is %s, not %s", takeOverFlag, pid, bytes.TrimSpace(theirs), bytes.TrimSpace(mine))
	}
	return pid, nil
}

// takeOver stops the former process, which lets its transactions end.
func (s *service) takeOver() {
	if s.former == 0 {
		return
	}
	former, err := os.FindProcess(s.former)
	if err == nil {
		err = former.Signal(syscall.SIGTERM)
	}
	if err != nil {
		s.log.Error("the former mailweir cannot be stopped: do it by hand", "process", s.former, "error", err)
		return
	}
	s.log.Info("the former mailweir was told to stop", "process", s.former)
}
