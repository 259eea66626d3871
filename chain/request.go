package chain

import "encoding/json"

// Request is one JSON-RPC request of several that go out together.
type Request struct {
	Method string
	Params []any // each of them encodes to JSON
}

// Reply is what one backend answered to a set of Requests. Results and Errs have one element for each
// Request, in order; of each pair one is nil. Results are bounded in size and depth, and otherwise
// unchecked.
type Reply struct {
	Backend  string // never a URL
	Operator string
	Results  []json.RawMessage
	Errs     []error // *BackendError
	Bytes    int     // of all Results
}
