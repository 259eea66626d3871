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

type peerAddr struct{}
