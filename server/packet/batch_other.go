//go:build !linux

package packet

import (
	"net"
	"syscall"
)

// canShare says whether sockets can share an address so that each gets some of the packets.
const canShare = false

func share(string, string, syscall.RawConn) error { return nil }

func batches(*net.UDPConn) bool { return false }

var readBatches = readPlain

// enlarge gives the socket buffers for the packets that come while all processors are busy elsewhere.
func enlarge(conn *net.UDPConn) {
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
}

// keepWhole is for systems that believe what ICMP says of the way of UDP.
func keepWhole(*net.UDPConn) {}

// spread is for systems that can be told which socket gets a packet.
type spread struct{}

func newSpread(syscall.RawConn, int) *spread { return nil }

type peerAddr struct{}
