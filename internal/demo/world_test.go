package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// world is a demo chain and a small client to it that follows off-chain look-ups.
type world struct {
	*Chain
	t       testing.TB
	fetches int // HTTP requests to gateways
	lookups int // OffchainLookup reverts followed
	// tamper changes what a gateway said, when it is set.
	tamper func(response []byte) []byte
}

// newWorld starts a chain that the test may change.
func newWorld(t testing.TB) *world {
	t.Helper()
	c, err := Start(t.Context(), Config{Period: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &world{Chain: c, t: t}
}

// shared is one chain for all tests that only read.
var shared = sync.OnceValues(func() (*Chain, error) { return Start(context.Background(), Config{Period: -1}) })

func TestMain(m *testing.M) {
	code := m.Run()
	c, err := shared()
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shared chain:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// reading returns the shared chain.
func reading(t testing.TB) *world {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return &world{Chain: c, t: t}
}

func (w *world) pack(c Contract, signature string, args ...any) []byte {
	w.t.Helper()
	data, err := Pack(c, signature, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// read makes a call that must succeed and decodes the result.
func (w *world) read(to common.Address, c Contract, signature string, args ...any) []any {
	w.t.Helper()
	output, reverted, err := w.Call(w.t.Context(), to, w.pack(c, signature, args...))
	if err != nil || reverted {
		w.t.Fatalf("%s: reverted %v with %x, %v", signature, reverted, output, err)
	}
	values, err := Unpack(c, signature, output)
	if err != nil {
		w.t.Fatal(err)
	}
	return values
}

// follow makes a call and follows off-chain look-ups, at most depth of them.
func (w *world) follow(to common.Address, data []byte, depth int) (output []byte, reverted bool) {
	w.t.Helper()
	for {
		output, reverted, err := w.Call(w.t.Context(), to, data)
		if err != nil {
			w.t.Fatal(err)
		}
		l, isLookup := w.lookup(output)
		if !reverted || !isLookup || depth == 0 {
			return output, reverted
		}
		if l.sender != to {
			w.t.Fatalf("look-up of %v while %v was called", l.sender, to)
		}
		depth--
		w.lookups++
		response, err := w.fetch(l.sender, l.urls, l.callData)
		if err != nil {
			w.t.Fatal(err)
		}
		arguments, err := abi.Arguments{{Type: abiBytes()}, {Type: abiBytes()}}.Pack(response, l.extra)
		if err != nil {
			w.t.Fatal(err)
		}
		data = append(bytes.Clone(l.callback[:]), arguments...)
	}
}

type lookup struct {
	sender          common.Address
	urls            []string
	callData, extra []byte
	callback        [4]byte
}

func (w *world) lookup(revert []byte) (lookup, bool) {
	universal, err := ABI(UniversalResolver)
	if err != nil {
		w.t.Fatal(err)
	}
	e := universal.Errors["OffchainLookup"]
	if !bytes.HasPrefix(revert, e.ID[:4]) {
		return lookup{}, false
	}
	v, err := e.Inputs.Unpack(revert[4:])
	if err != nil {
		w.t.Fatal(err)
	}
	return lookup{v[0].(common.Address), v[1].([]string), v[2].([]byte), v[4].([]byte), v[3].([4]byte)}, true
}

// batchABI is ENSIP-21's.
const batchABI = `[{"type":"function","name":"query","inputs":[{"name":"q","type":"tuple[]","components":[
{"name":"sender","type":"address"},{"name":"urls","type":"string[]"},{"name":"data","type":"bytes"}]}],
"outputs":[{"name":"failures","type":"bool[]"},{"name":"responses","type":"bytes[]"}]}]`

func (w *world) fetch(sender common.Address, urls []string, data []byte) ([]byte, error) {
	if len(urls) == 1 && urls[0] == "x-batch-gateway:true" {
		return w.batch(data), nil
	}
	w.fetches++
	url := strings.NewReplacer("{sender}", strings.ToLower(sender.Hex()), "{data}", hexutil.Encode(data)).Replace(urls[0])
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, statusError(response.StatusCode)
	}
	var reply struct{ Data hexutil.Bytes }
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, err
	}
	if w.tamper != nil {
		return w.tamper(reply.Data), nil
	}
	return reply.Data, nil
}

type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

// batch does what a batch gateway does.
func (w *world) batch(data []byte) []byte {
	batch, err := abi.JSON(strings.NewReader(batchABI))
	if err != nil {
		w.t.Fatal(err)
	}
	query := batch.Methods["query"]
	if !bytes.HasPrefix(data, query.ID) || hexutil.Encode(query.ID) != "0xa780bab6" {
		w.t.Fatalf("not a batch query: %x", data[:4])
	}
	values, err := query.Inputs.Unpack(data[4:])
	if err != nil {
		w.t.Fatal(err)
	}
	queries := *abi.ConvertType(values[0], new([]struct {
		Sender common.Address
		Urls   []string
		Data   []byte
	})).(*[]struct {
		Sender common.Address
		Urls   []string
		Data   []byte
	})
	failures, responses := make([]bool, len(queries)), make([][]byte, len(queries))
	for i, q := range queries {
		var status statusError
		responses[i], err = w.fetch(q.Sender, q.Urls, q.Data)
		if errors.As(err, &status) {
			failures[i], responses[i] = true, w.revert("HttpError", uint16(status), "refused")
		} else if err != nil {
			w.t.Fatal(err)
		}
	}
	packed, err := query.Outputs.Pack(failures, responses)
	if err != nil {
		w.t.Fatal(err)
	}
	return packed
}

// revert encodes an error of the UniversalResolver.
func (w *world) revert(name string, args ...any) []byte {
	w.t.Helper()
	e := errorNamed(w.t, name)
	packed, err := e.Inputs.Pack(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return append(bytes.Clone(e.ID[:4]), packed...)
}

// errorNamed finds an error in the interface of the UniversalResolver or of a wildcard resolver, one of
// whose errors it hands on.
func errorNamed(t testing.TB, name string) abi.Error {
	t.Helper()
	for _, c := range []Contract{UniversalResolver, WildcardResolver} {
		interfaces, err := ABI(c)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := interfaces.Errors[name]; ok {
			return e
		}
	}
	t.Fatalf("no error %s", name)
	return abi.Error{}
}

// resolve asks the UniversalResolver.
func (w *world) resolve(name string, call []byte) (result []byte, resolver common.Address, reverted []byte) {
	w.t.Helper()
	return w.decodeResolve(w.follow(w.UniversalResolver, w.resolveCall(name, call), 4))
}

func (w *world) decodeResolve(output []byte, failed bool) (result []byte, resolver common.Address, reverted []byte) {
	w.t.Helper()
	if failed {
		return nil, common.Address{}, output
	}
	values, err := Unpack(UniversalResolver, "resolve(bytes,bytes)", output)
	if err != nil {
		w.t.Fatal(err)
	}
	return values[0].([]byte), values[1].(common.Address), nil
}

func (w *world) resolveCall(name string, call []byte) []byte {
	w.t.Helper()
	return w.pack(UniversalResolver, "resolve(bytes,bytes)", w.wire(name), call)
}

func (w *world) wire(name string) []byte {
	w.t.Helper()
	wire, err := WireName(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return wire
}

// multicall asks the UniversalResolver for several records at once.
func (w *world) multicall(name string, calls ...[]byte) [][]byte {
	w.t.Helper()
	result, _, reverted := w.resolve(name, w.pack(Resolver, "multicall(bytes[])", calls))
	if reverted != nil {
		w.t.Fatalf("multicall of %s reverted with %x", name, reverted)
	}
	values, err := Unpack(Resolver, "multicall(bytes[])", result)
	if err != nil {
		w.t.Fatal(err)
	}
	return values[0].([][]byte)
}

func TestWorldIsReadyInTime(t *testing.T) {
	begin := time.Now()
	w := newWorld(t)
	t.Logf("ready in %v", time.Since(begin))
	if w.HTTPURL() == "" || w.WSURL() == "" || w.ChainID() != 1337 {
		t.Errorf("HTTP %q, WS %q, chain %d", w.HTTPURL(), w.WSURL(), w.ChainID())
	}
	// Clients that are connected and silent do not hold up the end.
	for _, address := range []string{w.DNS, strings.Split(w.GatewayURL, "/")[2]} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	begin = time.Now()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("closing took %v", took)
	}
	t.Logf("closed in %v", time.Since(begin))
	if err := w.Apply(t.Context(), Tx{}); err == nil {
		t.Error("a transaction was made on a closed chain")
	}
}
