package pool

import (
	"bytes"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/ethclient/simulated"
	"github.com/ethereum/go-ethereum/node"

	"dens/chain"
	"dens/internal/looptest"
)

// Contracts in a few bytes of EVM code.
var (
	echoes   = common.HexToAddress("0xe0") // returns its calldata
	reverts  = common.HexToAddress("0xe1") // reverts with its calldata
	halts    = common.HexToAddress("0xe2") // runs into INVALID
	burns    = common.HexToAddress("0xe3") // loops until the gas is gone
	enormous = common.HexToAddress("0xe4") // returns more than chain.MaxOutput
)

// geth starts a real go-ethereum node and returns its HTTP, WebSocket and IPC addresses.
func geth(t *testing.T) (*simulated.Backend, []string) {
	t.Helper()
	code := func(hex string) types.Account { return types.Account{Code: common.FromHex(hex), Balance: new(big.Int)} }
	alloc := types.GenesisAlloc{
		echoes:   code("0x365f5f37365ff3"),    // calldatacopy(0,0,calldatasize) return(0,calldatasize)
		reverts:  code("0x365f5f37365ffd"),    // the same, revert
		halts:    code("0xfe"),                // invalid
		burns:    code("0x5b5f56"),            // jumpdest push0 jump
		enormous: code("0x62100001" + "5ff3"), // return(0, 1 MiB + 1)
	}
	ipc := filepath.Join(t.TempDir(), "geth.ipc")
	var conf *node.Config
	backend := simulated.NewBackend(alloc, func(nodeConf *node.Config, ethConf *ethconfig.Config) {
		nodeConf.HTTPHost, nodeConf.HTTPPort, nodeConf.HTTPModules = "127.0.0.1", int(looptest.Free(t).Port()), []string{"eth"}
		nodeConf.WSHost, nodeConf.WSPort, nodeConf.WSModules = "127.0.0.1", int(looptest.Free(t).Port()), []string{"eth"}
		nodeConf.IPCPath = ipc
		ethConf.RPCGasCap = 5_000_000
		conf = nodeConf
	})
	t.Cleanup(func() { backend.Close() })
	backend.Commit()
	return backend, []string{"http://" + conf.HTTPEndpoint(), "ws://" + conf.WSEndpoint(), ipc}
}

// TestGeth: everything that is read of a real node's answers, over each transport.
func TestGeth(t *testing.T) {
	t.Parallel()
	backend, urls := geth(t)
	for _, url := range urls {
		t.Run(transportOf(url), func(t *testing.T) {
			e := endpoint(t, url, func(c *EndpointConfig) {
				c.ChainID = 1337
				c.BlockInterval, c.IdlePoll = time.Hour, time.Hour
				c.Timeout = 30 * time.Second
			})
			head, err := e.Latest(within(t, 30*time.Second), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			data := []byte("some calldata")
			list := []chain.Msg{{To: echoes, Data: data}, {To: reverts, Data: data}, {To: reverts}, {To: halts}, {To: burns}, {To: enormous}, {To: common.HexToAddress("0xdead")}}
			outputs, err := e.CallAt(within(t, 30*time.Second), list, head)
			if err != nil {
				t.Fatal(err)
			}
			want := []chain.Output{{Data: data}, {Data: data, Reverted: true}, {Reverted: true}, {Reverted: true}, {Err: chain.ErrLimit}, {Err: chain.ErrLimit}, {}}
			for i, w := range want {
				if got := outputs[i]; !bytes.Equal(got.Data, w.Data) || got.Reverted != w.Reverted || !errors.Is(got.Err, w.Err) || (w.Err == nil) != (got.Err == nil) {
					t.Errorf("message %d: %.80q, reverted %v, %v", i, got.Data, got.Reverted, got.Err)
				}
			}
			if _, err := e.CallAt(within(t, 30*time.Second), list[:1], chain.Head{Hash: common.Hash{7}}); !errors.Is(err, chain.ErrUnknownBlock) {
				t.Errorf("unknown block: %v", err)
			}
			followsGeth(t, e, backend, head)
			p, err := e.Probe(within(t, 30*time.Second))
			if err != nil || !p.Archive || !p.Proofs || !p.Batches || !p.ByHash || !p.AccessLists || p.ProofWindow != p.Head.Number+1 || p.ChainID != 1337 {
				t.Errorf("probe: %+v, %v", p, err)
			}
			if s := e.Status(); s.State != Closed || s.Errors > 1 { // the unknown block
				t.Errorf("status %+v", s)
			}
		})
	}
}

// followsGeth seals a block and looks whether the endpoint learns of it.
func followsGeth(t *testing.T, e *Endpoint, backend *simulated.Backend, head chain.Head) {
	t.Helper()
	hash := backend.Commit()
	if e.addr.transport == transportHTTP {
		if _, err := e.Latest(within(t, 30*time.Second), 0); err != nil {
			t.Error(err)
		}
	} else {
		eventually(t, "a new head", func() bool { known, _ := e.Head(); return known.Hash == hash })
	}
	known, _ := e.Head()
	if known.Hash != hash || known.Number != head.Number+1 || time.Since(known.Time).Abs() > time.Minute {
		t.Errorf("head %+v, want %s", known, hash)
	}
	if got, err := e.BlockAt(within(t, 30*time.Second), head.Number); err != nil || got.Hash != head.Hash {
		t.Errorf("the block before: %v, %v", got, err)
	}
}

// TestGethWindow: a node that is no archive proves its newest blocks, and says of the others that it has
// them not.
func TestGethWindow(t *testing.T) {
	t.Parallel()
	backend, urls := geth(t)
	for range 140 {
		backend.Commit()
	}
	p := newPool(t, Config{Endpoints: []EndpointConfig{{URL: urls[0], ChainID: 1337, BlockInterval: time.Hour}}})
	e := p.Endpoints()[0]
	probe, err := e.Probe(within(t, 30*time.Second))
	if err != nil || probe.ProofWindow != 128 || probe.Archive || !probe.AccessLists {
		t.Errorf("probe: %+v, %v", probe, err)
	}
	old, err := e.BlockAt(within(t, 20*time.Second), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []chain.Head{old, {Hash: common.Hash{7}}} {
		err = p.Fetch(within(t, 30*time.Second), proofs(head)[:1], func(r chain.Reply) error { return r.Errs[0] })
		if !errors.Is(err, chain.ErrUnknownBlock) {
			t.Errorf("a proof of block %d: %v", head.Number, err)
		}
	}
	anchor, err := p.Anchor(within(t, 20*time.Second))
	if err != nil || anchor.Number != 141 {
		t.Fatalf("%+v, %v", anchor, err)
	}
	err = p.Fetch(within(t, 30*time.Second), proofs(anchor.Head), func(r chain.Reply) error {
		if !isProof(r.Results[0], rootOf(r.Results[1]).root) || string(r.Results[2]) != "null" || r.Errs[3] == nil {
			t.Errorf("%s, %v", r.Results, r.Errs)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func transportOf(url string) string {
	a, err := parseAddress(url)
	if err != nil {
		return "bad"
	}
	return a.transport
}

// TestGethReorganises: when the chain takes another branch, so does the endpoint.
func TestGethReorganises(t *testing.T) {
	t.Parallel()
	backend, urls := geth(t)
	for _, url := range urls[:2] {
		e := endpoint(t, url, func(c *EndpointConfig) { c.ChainID = 1337; c.BlockInterval = 50 * time.Millisecond })
		base := backend.Commit()
		backend.Commit()
		old := backend.Commit()
		eventually(t, "the first branch", func() bool { known, _ := e.Head(); return known.Hash == old })
		if err := backend.Fork(base); err != nil {
			t.Fatal(err)
		}
		var newest common.Hash
		for range 4 {
			if err := backend.AdjustTime(time.Second); err != nil { // or the blocks would be the same
				t.Fatal(err)
			}
			newest = backend.Commit()
		}
		eventually(t, "the other branch", func() bool { known, _ := e.Head(); return known.Hash == newest })
		known, _ := e.Head()
		if got, err := e.BlockAt(within(t, 20*time.Second), known.Number-2); err != nil || got.Hash == old {
			t.Errorf("a block of the old branch is still told: %v, %v", got, err)
		}
		outputs, err := e.CallAt(within(t, 20*time.Second), []chain.Msg{{To: echoes, Data: []byte("x")}}, chain.Head{Hash: old})
		if err != nil || string(outputs[0].Data) != "x" {
			t.Errorf("a call at a block that is no longer canonical: %+v, %v", outputs, err)
		}
	}
}

// TestTLS: the certificate must be for the host's name and from a known authority.
func TestTLS(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(n.ServeHTTP))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that are to fail
	secure.StartTLS()
	t.Cleanup(secure.Close)
	pool := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for _, scheme := range []string{"https", "wss"} {
		address := scheme + "://" + secure.Listener.Addr().String()
		good := endpoint(t, address, func(c *EndpointConfig) { c.RootCAs = pool })
		if _, err := good.CallAt(within(t, 20*time.Second), msgs("x"), n.Head()); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		stranger := endpoint(t, address)
		if _, err := stranger.CallAt(within(t, 20*time.Second), msgs("x"), n.Head()); err == nil || !bytes.Contains([]byte(err.Error()), []byte("known authority")) {
			t.Errorf("%s, unknown authority: %v", scheme, err)
		}
		other := endpoint(t, scheme+"://other.invalid", func(c *EndpointConfig) {
			c.RootCAs = pool
			c.Dial = dialTo(secure.Listener.Addr().String())
		})
		if _, err := other.CallAt(within(t, 20*time.Second), msgs("x"), n.Head()); err == nil || !bytes.Contains([]byte(err.Error()), []byte("another name")) {
			t.Errorf("%s, other name: %v", scheme, err)
		}
		named := endpoint(t, scheme+"://example.com", func(c *EndpointConfig) { // httptest's certificate has this name
			c.RootCAs = pool
			c.Dial = dialTo(secure.Listener.Addr().String())
		})
		if _, err := named.CallAt(within(t, 20*time.Second), msgs("x"), n.Head()); err != nil {
			t.Errorf("%s, by name: %v", scheme, err)
		}
		unresolved := endpoint(t, scheme+"://example.com")
		if _, err := unresolved.CallAt(within(t, 20*time.Second), msgs("x"), n.Head()); err == nil || !bytes.Contains([]byte(err.Error()), []byte("no dialer")) {
			t.Errorf("%s, without a dialer: %v", scheme, err)
		}
	}
}
