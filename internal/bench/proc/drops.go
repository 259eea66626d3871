package proc

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Drops is how many datagrams found a socket's buffer full, of all sockets in the network namespace that
// this process is in: RcvbufErrors of UDP in /proc/net/snmp.
func (t Table) Drops() (uint64, error) {
	data, err := os.ReadFile(filepath.Join(t.root(), "net/snmp"))
	if err != nil {
		return 0, err
	}
	return parseDrops(string(data))
}

// parseDrops reads two lines that begin with "Udp:": the names of the counters, and their values.
func parseDrops(data string) (uint64, error) {
	var names []string
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "RcvbufErrors" && i < len(fields) {
				return strconv.ParseUint(fields[i], 10, 64)
			}
		}
	}
	return 0, errors.New("no RcvbufErrors of UDP")
}
