package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// process writes the files of one process.
func process(t *testing.T, root string, pid, parent int, name string, times [4]int, rss, pss int) {
	t.Helper()
	dir := filepath.Join(root, fmt.Sprint(pid))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"stat": fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 1 2 3 4 %d %d %d %d 20 0 9 0 77 1 2\n",
			pid, name, parent, times[0], times[1], times[2], times[3]),
		"status":       fmt.Sprintf("Name:\t%s\nVmHWM:\t  999 kB\nVmRSS:\t  %d kB\nThreads:\t9\n", name, rss),
		"smaps_rollup": fmt.Sprintf("5500-7fff ---p 00000000 00:00 0   [rollup]\nRss:  999 kB\nPss:  %d kB\n", pss),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTable(t *testing.T) {
	root := t.TempDir()
	process(t, root, 10, 1, "alone", [4]int{100, 50, 0, 0}, 2048, 1)
	process(t, root, 20, 1, "parent (of) two", [4]int{1, 2, 3, 4}, 1000, 300)
	process(t, root, 21, 20, ") S 99", [4]int{10, 0, 0, 0}, 1000, 200)
	process(t, root, 22, 21, "grandchild", [4]int{0, 10, 0, 0}, 1000, 100)
	table := Table{root}
	tests := []struct {
		pids     []int
		cpu      time.Duration
		resident uint64
	}{
		{[]int{10}, 1500 * time.Millisecond, 2048 << 10},
		{[]int{20}, 300 * time.Millisecond, 600 << 10},
		{[]int{22}, 100 * time.Millisecond, 1000 << 10},
		{[]int{10, 22}, 1600 * time.Millisecond, 101 << 10},
	}
	for _, tt := range tests {
		cpu, err := table.CPU(tt.pids...)
		if err != nil || cpu != tt.cpu {
			t.Errorf("%v: CPU %v, %v, want %v", tt.pids, cpu, err, tt.cpu)
		}
		resident, err := table.Resident(tt.pids...)
		if err != nil || resident != tt.resident {
			t.Errorf("%v: resident %d, %v, want %d", tt.pids, resident, err, tt.resident)
		}
	}
	if _, err := table.CPU(30); err == nil {
		t.Error("a process that is not there has used time")
	}
	if _, err := table.Resident(30); err == nil {
		t.Error("a process that is not there has memory")
	}
}

func TestMalformed(t *testing.T) {
	for _, line := range []string{
		"", "1", "1 (x", "1 (x) S 1 2", "1 (x) S y 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20",
		"1 (x) S 1 1 1 0 -1 4194560 1 2 3 4 5 -6 7 8 20", "1 (x) S 1 1 1 0 -1 4194560 1 2 3 4 5 99999999999999999999 7 8 20",
	} {
		if s, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%q: %+v", line, s)
		}
	}
	for _, text := range []string{"", "VmRSS: 1", "VmRSS: x kB", "VmRSS: 1 MB", "xVmRSS: 1 kB"} {
		if n, err := parseKiB(text, "VmRSS:"); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
	for _, text := range []string{"", "Udp: InDatagrams RcvbufErrors\n", "Udp: InDatagrams\nUdp: 1\n", "Udp: A RcvbufErrors\nUdp: 1\n"} {
		if n, err := parseDrops(text); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}

func TestDrops(t *testing.T) {
	const snmp = "Ip: Forwarding DefaultTTL\nIp: 1 64\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 5 4 3 2 17\nUdpLite: InDatagrams\nUdpLite: 0\n"
	if n, err := parseDrops(snmp); err != nil || n != 17 {
		t.Errorf("%d, %v, want 17", n, err)
	}
}
