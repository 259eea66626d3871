package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"dens/chain"
)

// Bounds of what a backend sends, besides EndpointConfig.MaxBody.
const (
	maxDepth    = 64                                           // nesting of arrays and objects
	maxElements = max(2*chain.MaxMsgs, chain.MaxRequests) + 64 // elements of a batch
)

// message is one JSON-RPC 2.0 message of a backend.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *errorObject    `json:"error"`
}

// errorObject is a JSON-RPC error. It is an error itself where one stands for a whole request.
type errorObject struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// isReply says whether m has the shape of a response: version, id, and one of result and error. A null
// error beside a result is a common sloppiness and does no harm.
func (m *message) isReply() bool {
	if m.Version != "2.0" || m.Method != "" || len(m.ID) == 0 {
		return false
	}
	hasResult := len(m.Result) > 0 && string(m.Result) != "null"
	if m.Error != nil {
		return !hasResult
	}
	return len(m.Result) > 0
}

func (m *message) hasNullID() bool { return string(m.ID) == "null" }

// append writes m, a reply, anew: what was checked is what is read next, however a decoder takes double
// or oddly spelled keys. Error data is kept only where it is a string, so that it costs what it weighs.
func (m *message) append(b []byte) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, m.ID...)
	if m.Error == nil {
		b = append(b, `,"result":`...)
		b = append(b, m.Result...)
		return append(b, '}')
	}
	e := errorObject{Code: m.Error.Code, Message: m.Error.Message, Data: errorData(m.Error.Data)}
	enc, err := json.Marshal(e)
	if err != nil { // not reached: ints, strings and valid JSON
		enc = []byte(`{"code":0,"message":"unreadable"}`)
	}
	b = append(b, `,"error":`...)
	b = append(b, enc...)
	return append(b, '}')
}

// errorData takes revert data where nodes put it: a string, or the member "data" of an object.
func errorData(raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil
	}
	if raw[0] == '{' {
		var inner struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(raw, &inner) != nil {
			return nil
		}
		raw = bytes.TrimSpace(inner.Data)
	}
	if len(raw) == 0 || raw[0] != '"' {
		return nil
	}
	return raw
}

// scan refuses JSON that is nested deeper than maxDepth, or whose outermost array or object has more
// than maxElements elements (an object: commas), before any decoder builds something from it. It says
// nothing about whether b is JSON at all.
func scan(b []byte) error {
	depth, elements := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := stringEnd(b, i)
			if end < 0 {
				return fmt.Errorf("%w: unfinished string", chain.ErrMalformed)
			}
			i = end
		case '{', '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("%w: JSON nested deeper than %d", chain.ErrLimit, maxDepth)
			}
		case '}', ']':
			depth--
		case ',':
			if depth == 1 {
				if elements++; elements > maxElements {
					return fmt.Errorf("%w: more than %d elements in one answer", chain.ErrLimit, maxElements)
				}
			}
		}
	}
	return nil
}

// stringEnd returns the index of the quote that ends the string that begins at b[i], or -1.
func stringEnd(b []byte, i int) int {
	for from := i + 1; ; {
		k := bytes.IndexByte(b[from:], '"')
		if k < 0 {
			return -1
		}
		quote, escapes := from+k, 0
		for j := quote - 1; j >= from && b[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return quote
		}
		from = quote + 1
	}
}

// requestIDs reads the ids out of a request that we made ourselves.
func requestIDs(request []byte) (ids []string, batch bool, err error) {
	type id struct {
		ID json.RawMessage `json:"id"`
	}
	if request = bytes.TrimSpace(request); len(request) > 0 && request[0] == '[' {
		var list []id
		if err := json.Unmarshal(request, &list); err != nil {
			return nil, true, err
		}
		for _, e := range list {
			ids = append(ids, string(e.ID))
		}
		return ids, true, nil
	}
	var one id
	if err := json.Unmarshal(request, &one); err != nil {
		return nil, false, err
	}
	return []string{string(one.ID)}, false, nil
}

// checkReply checks the body that a backend sent in answer to a request with ids, and returns it written
// anew. Errors are chain.ErrMalformed, chain.ErrLimit, an *errorObject (one error for a whole batch), or
// errBatchRefused.
func checkReply(body []byte, ids []string, batch bool) ([]byte, error) {
	if err := scan(body); err != nil {
		return nil, err
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, fmt.Errorf("%w: empty body", chain.ErrMalformed)
	}
	if !batch {
		return checkSingle(body, ids[0])
	}
	if body[0] != '[' {
		var m message
		if json.Unmarshal(body, &m) == nil && m.Error != nil {
			return nil, fmt.Errorf("%w: %w", errBatchRefused, m.Error)
		}
		return nil, fmt.Errorf("%w: %w: a batch was answered by something else", errBatchRefused, chain.ErrMalformed)
	}
	return checkBatch(body, ids)
}

func checkSingle(body []byte, id string) ([]byte, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("%w: not a JSON-RPC answer", chain.ErrMalformed)
	}
	if m.hasNullID() && m.Error != nil {
		m.ID = json.RawMessage(id) // an error from before the request was read (JSON-RPC 2.0 section 5)
	}
	if !m.isReply() {
		return nil, fmt.Errorf("%w: not a JSON-RPC answer", chain.ErrMalformed)
	}
	if string(m.ID) != id {
		return nil, fmt.Errorf("%w: answer to another request", chain.ErrMalformed)
	}
	return m.append(make([]byte, 0, len(body)+64)), nil
}

func checkBatch(body []byte, ids []string) ([]byte, error) {
	var list []message
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%w: not a JSON-RPC batch", chain.ErrMalformed)
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	out := append(make([]byte, 0, len(body)+64), '[')
	for i := range list {
		m := &list[i]
		if m.hasNullID() && m.Error != nil {
			return nil, fmt.Errorf("%w: %w", errBatchRefused, m.Error)
		}
		if !m.isReply() {
			return nil, fmt.Errorf("%w: element %d of a batch is no answer", chain.ErrMalformed, i)
		}
		if !wanted[string(m.ID)] {
			return nil, fmt.Errorf("%w: a batch answers what was not asked, or twice", chain.ErrMalformed)
		}
		delete(wanted, string(m.ID))
		if i > 0 {
			out = append(out, ',')
		}
		out = m.append(out)
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("%w: %d of %d answers of a batch are missing", errBatchRefused, len(wanted), len(ids))
	}
	return append(out, ']'), nil
}

// checkPushed checks one message or batch of a stream, where it is not known here which requests are
// under way. What is neither an answer nor a head is left out: a client has nothing to serve. reply says
// whether there was an answer in it.
func checkPushed(frame []byte) (out []byte, reply bool, err error) {
	if err := scan(frame); err != nil {
		return nil, false, err
	}
	frame = bytes.TrimSpace(frame)
	if len(frame) == 0 || frame[0] != '[' {
		var m message
		if err := json.Unmarshal(frame, &m); err != nil {
			return nil, false, fmt.Errorf("%w: not a JSON-RPC message", chain.ErrMalformed)
		}
		if m.hasNullID() && m.Error != nil {
			// Nobody knows which request this answers, and the one that it does would wait in vain.
			return nil, false, fmt.Errorf("%w: %w", errBatchRefused, m.Error)
		}
		if m.isReply() {
			return m.append(make([]byte, 0, len(frame)+64)), true, nil
		}
		return notification(&m), false, nil
	}
	var list []message
	if err := json.Unmarshal(frame, &list); err != nil {
		return nil, false, fmt.Errorf("%w: not a JSON-RPC batch", chain.ErrMalformed)
	}
	out = append(make([]byte, 0, len(frame)+64), '[')
	for i := range list {
		if !list[i].isReply() {
			return nil, false, fmt.Errorf("%w: element %d of a batch is no answer", chain.ErrMalformed, i)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = list[i].append(out)
	}
	return append(out, ']'), len(list) > 0, nil
}

// notification rewrites the announcement of a head with just the members that are used, so that a queue
// of them is small; nil for all else.
func notification(m *message) []byte {
	if m.Version != "2.0" || m.Method != "eth_subscription" || len(m.ID) > 0 {
		return nil
	}
	var params struct {
		ID     string   `json:"subscription"`
		Result rpcBlock `json:"result"`
	}
	if json.Unmarshal(m.Params, &params) != nil || len(params.ID) > 80 || !params.Result.short() {
		return nil
	}
	enc, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": m.Method, "params": params})
	if err != nil {
		return nil
	}
	return enc
}

// errBatchRefused means that a backend does not take JSON-RPC batches, or not this one.
var errBatchRefused = errors.New("batch refused")

func (e *errorObject) Error() string {
	if e.Message == "" {
		return "JSON-RPC error " + strconv.Itoa(e.Code)
	}
	return e.Message
}

// ErrorCode makes an errorObject an rpc.Error.
func (e *errorObject) ErrorCode() int { return e.Code }
