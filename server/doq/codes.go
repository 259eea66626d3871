package doq

import "github.com/quic-go/quic-go"

// Error codes of DNS over QUIC, for connections and streams alike (RFC 9250 section 8.4).
const (
	codeNoError       = 0
	codeInternal      = 1
	codeProtocol      = 2
	codeCancelled     = 3
	codeExcessiveLoad = 4
	codeUnspecified   = 5
)

// codes are what the error codes of both protocols have in common.
type codes struct{ noError, excessiveLoad quic.ApplicationErrorCode }

var (
	doqCodes = codes{codeNoError, codeExcessiveLoad}
	h3Codes  = codes{h3NoError, h3ExcessiveLoad}
)
