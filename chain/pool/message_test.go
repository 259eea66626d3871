package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

func TestCheckReply(t *testing.T) {
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	tests := []struct {
		name  string
		body  string
		batch bool
		want  string // what comes out, when there is no error
		err   error
	}{
		{name: "result", body: `{"jsonrpc":"2.0","id":1,"result":"0x"}`, want: `{"jsonrpc":"2.0","id":1,"result":"0x"}`},
		{name: "null result", body: `{"jsonrpc":"2.0","id":1,"result":null}`, want: `{"jsonrpc":"2.0","id":1,"result":null}`},
		{name: "null error beside", body: ` {"jsonrpc":"2.0","id":1,"result":"0x","error":null} `, want: `{"jsonrpc":"2.0","id":1,"result":"0x"}`},
		{name: "error", body: `{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"m","data":"0x"}}`, want: `{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"m","data":"0x"}}`},
		{name: "error with a tree of data", body: `{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"m","data":[[],[]]}}`, want: `{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"m"}}`},
		{name: "error without id", body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}`, want: `{"jsonrpc":"2.0","id":1,"error":{"code":-32700,"message":"m"}}`},
		{name: "other id", body: `{"jsonrpc":"2.0","id":2,"result":"0x"}`, err: chain.ErrMalformed},
		{name: "id as string", body: `{"jsonrpc":"2.0","id":"1","result":"0x"}`, err: chain.ErrMalformed},
		{name: "no id", body: `{"jsonrpc":"2.0","result":"0x"}`, err: chain.ErrMalformed},
		{name: "no version", body: `{"id":1,"result":"0x"}`, err: chain.ErrMalformed},
		{name: "a request", body: `{"jsonrpc":"2.0","id":1,"method":"eth_call","result":"0x"}`, err: chain.ErrMalformed},
		{name: "neither", body: `{"jsonrpc":"2.0","id":1}`, err: chain.ErrMalformed},
		{name: "both", body: `{"jsonrpc":"2.0","id":1,"result":"0x","error":{"code":1,"message":""}}`, err: chain.ErrMalformed},
		{name: "error is a string", body: `{"jsonrpc":"2.0","id":1,"error":"no"}`, err: chain.ErrMalformed},
		{name: "empty", body: ``, err: chain.ErrMalformed},
		{name: "HTML", body: `<html>`, err: chain.ErrMalformed},
		{name: "two answers", body: `{"jsonrpc":"2.0","id":1,"result":"0x"}{"jsonrpc":"2.0","id":1,"result":"0x"}`, err: chain.ErrMalformed},
		{name: "an array for one", body: `[{"jsonrpc":"2.0","id":1,"result":"0x"}]`, err: chain.ErrMalformed},
		{name: "unfinished", body: `{"jsonrpc":"2.0","id":1,"result":"0x`, err: chain.ErrMalformed},
		{name: "deep", body: `{"jsonrpc":"2.0","id":1,"result":` + deep + `}`, err: chain.ErrLimit},
		{name: "batch", batch: true, body: `[{"jsonrpc":"2.0","id":2,"result":"b"},{"jsonrpc":"2.0","id":1,"result":"a"}]`, want: `[{"jsonrpc":"2.0","id":2,"result":"b"},{"jsonrpc":"2.0","id":1,"result":"a"}]`},
		{name: "batch, one missing", batch: true, body: `[{"jsonrpc":"2.0","id":2,"result":"b"}]`, err: errBatchRefused},
		{name: "batch, one error", batch: true, body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}`, err: errBatchRefused},
		{name: "batch, twice", batch: true, body: `[{"jsonrpc":"2.0","id":1,"result":"b"},{"jsonrpc":"2.0","id":1,"result":"a"}]`, err: chain.ErrMalformed},
		{name: "batch, not asked", batch: true, body: `[{"jsonrpc":"2.0","id":3,"result":"b"},{"jsonrpc":"2.0","id":1,"result":"a"}]`, err: chain.ErrMalformed},
		{name: "batch of nulls", batch: true, body: `[null,null]`, err: chain.ErrMalformed},
		{name: "batch of thousands", batch: true, body: `[` + strings.Repeat(`0,`, 100000) + `0]`, err: chain.ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ids := []string{"1"}
			if tt.batch {
				ids = []string{"1", "2"}
			}
			got, err := checkReply([]byte(tt.body), ids, tt.batch)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if string(got) != tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestCheckPushed(t *testing.T) {
	head := `{"number":"0x1","hash":"0xaa","parentHash":"0xbb","timestamp":"0x2"}`
	tests := []struct {
		name, frame, want string
		reply             bool
		err               error
	}{
		{name: "reply", frame: `{"jsonrpc":"2.0","id":7,"result":true}`, want: `{"jsonrpc":"2.0","id":7,"result":true}`, reply: true},
		{name: "batch", frame: `[{"jsonrpc":"2.0","id":7,"result":1}]`, want: `[{"jsonrpc":"2.0","id":7,"result":1}]`, reply: true},
		{name: "head", frame: `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x1","hash":"0xaa","parentHash":"0xbb","timestamp":"0x2","logsBloom":"0x00"}}}`,
			want: `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":` + head + `}}`},
		{name: "a long head", frame: `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x` + strings.Repeat("1", 99) + `"}}}`},
		{name: "a call to us", frame: `{"jsonrpc":"2.0","id":1,"method":"eth_sign","params":[]}`},
		{name: "a call to us in a batch", frame: `[{"jsonrpc":"2.0","id":1,"method":"eth_sign"}]`, err: chain.ErrMalformed},
		{name: "empty batch", frame: `[]`, want: `[]`},
		{name: "number", frame: `7`, err: chain.ErrMalformed},
		{name: "deep", frame: strings.Repeat("[", 100), err: chain.ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, reply, err := checkPushed([]byte(tt.frame))
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if reply != tt.reply {
				t.Errorf("reply %v", reply)
			}
			if tt.want == "" && len(got) > 0 || tt.want != "" && !sameJSON(got, []byte(tt.want)) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	ax, _ := json.Marshal(x)
	by, _ := json.Marshal(y)
	return bytes.Equal(ax, by)
}

// FuzzCheckReply: what passes is valid JSON no deeper than allowed, is an answer to each id once, and
// passes again unchanged.
func FuzzCheckReply(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":"0x"}`), false)
	f.Add([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":3,"message":"m","data":{"data":"0x"}}}`), false)
	f.Add([]byte(`[{"jsonrpc":"2.0","id":2,"result":"b"},{"jsonrpc":"2.0","ID":1,"result":[{"a":"\"}"}]}]`), true)
	f.Add([]byte(`[[[[{"a":"\\"}]]]]`), true)
	f.Fuzz(func(t *testing.T, body []byte, batch bool) {
		ids := []string{"1"}
		if batch {
			ids = []string{"1", "2"}
		}
		out, err := checkReply(body, ids, batch)
		if err != nil {
			if out != nil {
				t.Error("both an answer and an error")
			}
			return
		}
		if !json.Valid(out) || depth(out) > maxDepth {
			t.Fatalf("bad JSON came out: %q", out)
		}
		again, err := checkReply(out, ids, batch)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("not stable: %q, then %q, %v", out, again, err)
		}
	})
}

func depth(b []byte) int {
	most, now := 0, 0
	decoder := json.NewDecoder(bytes.NewReader(b))
	for {
		token, err := decoder.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			now++
			most = max(most, now)
		case json.Delim(']'), json.Delim('}'):
			now--
		}
	}
}

// FuzzCheckPushed: what passes is valid JSON, and holds no call to us.
func FuzzCheckPushed(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":7,"result":true}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x1"}}}`))
	f.Add([]byte(`[{"jsonrpc":"2.0","id":1,"method":"eth_sign"}]`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		out, _, err := checkPushed(frame)
		if err != nil || len(out) == 0 {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("bad JSON came out: %q", out)
		}
		var m message
		if json.Unmarshal(out, &m) == nil && m.Method != "" && m.Method != "eth_subscription" {
			t.Fatalf("a call to us came out: %q", out)
		}
	})
}

// FuzzOutput: whatever error a node sends, the outcome is one of the few that are allowed, and bounded.
func FuzzOutput(f *testing.F) {
	f.Add(3, "execution reverted", "0x00", true)
	f.Add(-32015, "VM execution error.", "Reverted 0x", true)
	f.Add(-32000, "header not found", "", false)
	f.Fuzz(func(t *testing.T, code int, text, data string, hasData bool) {
		e := &dataError{errorObject{Code: code, Message: text}, nil}
		if hasData {
			e.data = data
		}
		var answered rpc.Error = e
		out, err := outputOf(answered)
		switch {
		case err != nil && (out.Data != nil || out.Reverted || out.Err != nil):
			t.Errorf("both an output and an error: %+v, %v", out, err)
		case err == nil && !out.Reverted && out.Err == nil:
			t.Error("an error became a success")
		case out.Err != nil && (out.Data != nil || !errors.Is(out.Err, chain.ErrLimit)):
			t.Errorf("%+v", out)
		case len(out.Data) > chain.MaxOutput:
			t.Error("too long")
		case len(out.Data) > 0 && !strings.Contains(strings.ToLower(data), "0x"):
			t.Error("data from nowhere")
		}
		if short := cut(text); len(short) > maxText || strings.ContainsAny(short, "\n\r\x00\x1b") {
			t.Errorf("not cut: %q", short)
		}
	})
}

// FuzzRefusal: whatever error a node sends for a request that is no call, its kind is one of the few that
// callers know, and its text is fit to be shown.
func FuzzRefusal(f *testing.F) {
	f.Add(-32603, "distance to target block exceeds maximum proof window")
	f.Add(429, "")
	f.Add(-32601, "the method eth_getProof does not exist\n\x1b[31m")
	f.Fuzz(func(t *testing.T, code int, text string) {
		e := &Endpoint{addr: address{secrets: []string{"secret-key"}}}
		err := e.refusal(&errorObject{Code: code, Message: text})
		known := 0
		for _, kind := range []error{chain.ErrUnknownBlock, chain.ErrLimit, chain.ErrUnavailable} {
			if errors.Is(err, kind) {
				known++
			}
		}
		if known != 1 {
			t.Errorf("%d kinds: %v", known, err)
		}
		if got := err.Error(); len(got) > maxText || strings.Contains(got, "secret-key") || strings.ContainsAny(got, "\n\r\x00\x1b") {
			t.Errorf("not fit to be shown: %q", got)
		}
		if foreign := e.refusal(errors.New(text)); !errors.Is(foreign, chain.ErrMalformed) {
			t.Errorf("no JSON-RPC error: %v", foreign)
		}
	})
}

type dataError struct {
	errorObject
	data any
}

func (d *dataError) ErrorData() any { return d.data }

func TestDecodeNumber(t *testing.T) {
	good := map[string]uint64{"0x0": 0, "0x1f": 31, "0x00ff": 255, "0xffffffffffffffff": 1<<64 - 1}
	for s, want := range good {
		if n, err := decodeNumber(s); err != nil || n != want {
			t.Errorf("%s: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "0x", "1", "0x-1", "0x+1", "0x1_0", "0xg", "0x10000000000000000", "0X1", " 0x1"} {
		if n, err := decodeNumber(s); err == nil {
			t.Errorf("%q was read as %d", s, n)
		}
	}
}
