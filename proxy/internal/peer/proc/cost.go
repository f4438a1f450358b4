package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on under Linux.
const tick = 10 * time.Millisecond

// CPU returns the processor time that the program has used so far, its
// children's included.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := readStat(p.PID)
	if err != nil {
		return 0, err
	}
	total := stat.own + stat.waited
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range all {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == p.PID {
			continue
		}
		if child, err := readStat(pid); err == nil && child.group == p.PID {
			total += child.own + child.waited
		}
	}
	return total, nil
}

// RSS returns the resident memory of the program itself, in octets.
func (p *Process) RSS() (int64, error) { return p.memory("VmRSS:") }

// PeakRSS returns the most resident memory that the program ever had.
func (p *Process) PeakRSS() (int64, error) { return p.memory("VmHWM:") }

func (p *Process) memory(key string) (int64, error) {
	file := fmt.Sprintf("/proc/%d/status", p.PID)
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(data, []byte(key))
	fields := bytes.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, fmt.Errorf("%s has no %s", file, key)
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10, err
}

// A stat is what CPU needs of /proc/PID/stat.
type stat struct {
	group  int           // the process group
	own    time.Duration // user and system time of all threads
	waited time.Duration // the same of children that have ended
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field, the name in parentheses, may hold spaces.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("/proc/%d/stat: unexpected contents %q", pid, data)
	}
	number := func(i int) int64 { // i as numbered in proc(5)
		n, _ := strconv.ParseInt(string(fields[i-3]), 10, 64)
		return n
	}
	return stat{
		group:  int(number(5)),
		own:    time.Duration(number(14)+number(15)) * tick,
		waited: time.Duration(number(16)+number(17)) * tick,
	}, nil
}
