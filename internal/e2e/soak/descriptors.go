package soak

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// spareSocket is what the kernel lists at no port.
const spareSocket = "a socket without a port"

// Descriptors says what the open descriptors of a process are, for whoever looks for those that are too many.
func Descriptors(pid int) string {
	kinds, err := descriptors(pid)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		lines = append(lines, fmt.Sprintf("%4d %s", kinds[kind], kind))
	}
	return strings.Join(lines, "\n")
}

// descriptors counts the open descriptors of a process: sockets by protocol, state and the ends that several
// have in common, and files.
func descriptors(pid int) (map[string]int, error) {
	sockets := map[string]string{}
	for _, proto := range []string{"tcp", "tcp6", "udp", "udp6"} {
		maps.Copy(sockets, readSockets(pid, proto))
	}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return nil, err
	}
	kinds := map[string]int{}
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil {
			continue // closed meanwhile
		}
		if inode, found := strings.CutPrefix(to, "socket:["); found {
			if to = sockets[strings.TrimSuffix(inode, "]")]; to == "" {
				to = spareSocket
			}
		}
		kinds[to]++
	}
	return kinds, nil
}

// The states of TCP sockets, as the kernel numbers them.
var tcpStates = [...]string{1: "established", 2: "SYN sent", 3: "SYN received", 4: "FIN wait 1", 5: "FIN wait 2", 6: "time wait", 7: "closed", 8: "close wait", 9: "last ACK", 10: "listening", 11: "closing"}

// readSockets maps the inodes of sockets in the network namespace of a process to what they are.
func readSockets(pid int, proto string) map[string]string {
	file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, proto))
	if err != nil {
		return nil
	}
	defer file.Close()
	all := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[0] == "sl" {
			continue
		}
		state := "udp"
		if n, err := strconv.ParseUint(f[3], 16, 8); err == nil && strings.HasPrefix(proto, "tcp") && int(n) < len(tcpStates) {
			state = "tcp " + tcpStates[n]
		}
		local, remote := port(f[1]), port(f[2])
		switch {
		case remote == 0:
			all[f[9]] = fmt.Sprintf("%s at port %d", state, local)
		case local < 32768:
			all[f[9]] = fmt.Sprintf("%s from port %d", state, local)
		default:
			all[f[9]] = fmt.Sprintf("%s to port %d", state, remote)
		}
	}
	return all
}

// port is that of an address in /proc/net.
func port(addr string) int {
	_, text, _ := strings.Cut(addr, ":")
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 2 {
		return 0
	}
	return int(raw[0])<<8 | int(raw[1])
}
