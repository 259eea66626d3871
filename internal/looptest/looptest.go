// Package looptest finds addresses on loopback for tests.
package looptest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Ports between these are below those that systems give to whoever asks for any (32768 and up on Linux): nobody
// gets one by chance.
const lowest, highest = 10000, 30000

var given sync.Map // ports that Free has returned

// Free returns an address at which nobody listens, by UDP or TCP, and which a test may take. Its host is of this
// process alone, its port is free at all addresses, and it is not returned twice.
func Free(t testing.TB) netip.AddrPort {
	t.Helper()
	pid := os.Getpid()
	host := netip.AddrFrom4([4]byte{127, byte(64 | pid>>16&0x3f), byte(pid >> 8), byte(pid)})
	for range 100 {
		port := lowest + rand.IntN(highest-lowest)
		if !free("0.0.0.0:" + strconv.Itoa(port)) {
			continue
		}
		if _, taken := given.LoadOrStore(port, true); !taken {
			return netip.AddrPortFrom(host, uint16(port))
		}
	}
	t.Fatal("no port is free")
	return netip.AddrPort{}
}

func free(address string) bool {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return false
	}
	defer l.Close()
	conn, err := net.ListenPacket("udp4", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
