// Package proc reads what processes have used, from Linux's /proc (proc(5)).
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = time.Second / 100

// Table reads processes below Root.
type Table struct {
	Root string // "/proc"
}

func (t Table) root() string {
	if t.Root == "" {
		return "/proc"
	}
	return t.Root
}

// stat is what is of use in /proc/PID/stat.
type stat struct {
	parent int
	cpu    time.Duration // of all threads, also those that have ended, and of children that were waited for
}

// parseStat reads a line of /proc/PID/stat. The name of the program is in parentheses and may hold any
// character, so that what follows is counted from the last one.
func parseStat(data []byte) (stat, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("stat without the name of a program: %.100q", data)
	}
	// The fields from the third one on: state, ppid, ..., utime (14), stime, cutime, cstime.
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("stat with %d fields after the name", len(fields))
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, fmt.Errorf("stat: parent: %w", err)
	}
	var ticks uint64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseUint(f, 10, 62)
		if err != nil {
			return stat{}, fmt.Errorf("stat: time: %w", err)
		}
		ticks += n
	}
	return stat{parent, time.Duration(ticks) * tick}, nil
}

func (t Table) stat(pid int) (stat, error) {
	data, err := os.ReadFile(filepath.Join(t.root(), strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// Family lists the given processes and all that descend from them.
func (t Table) Family(pids ...int) ([]int, error) {
	entries, err := os.ReadDir(t.root())
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := t.stat(pid); err == nil { // else it has just ended
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	family := append([]int(nil), pids...)
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i]]...)
	}
	return family, nil
}

// CPU is the time in user code and kernel that the processes and their descendants have used so far.
func (t Table) CPU(pids ...int) (time.Duration, error) {
	family, err := t.Family(pids...)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range family {
		s, err := t.stat(pid)
		if err != nil {
			return 0, err
		}
		sum += s.cpu
	}
	return sum, nil
}

// Resident is the memory of the processes and their descendants, in bytes: VmRSS of one process; of several,
// the sum of their proportional sets, which counts a page that they share once.
func (t Table) Resident(pids ...int) (uint64, error) {
	family, err := t.Family(pids...)
	if err != nil {
		return 0, err
	}
	file, key := "status", "VmRSS:"
	if len(family) > 1 {
		file, key = "smaps_rollup", "Pss:"
	}
	var sum uint64
	for _, pid := range family {
		data, err := os.ReadFile(filepath.Join(t.root(), strconv.Itoa(pid), file))
		if err != nil {
			return 0, err
		}
		kib, err := parseKiB(string(data), key)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		sum += kib << 10
	}
	return sum, nil
}

// parseKiB reads the line "key  123 kB".
func parseKiB(data, key string) (uint64, error) {
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == key && fields[2] == "kB" {
			return strconv.ParseUint(fields[1], 10, 50)
		}
	}
	return 0, fmt.Errorf("no line %q", key)
}
