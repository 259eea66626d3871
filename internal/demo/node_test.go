package demo

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

func startNode(t *testing.T, config NodeConfig) *Node {
	t.Helper()
	n, err := StartNode(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// TestNodeServesGenesis puts a contract at an address of choice on a chain with the id of choice, and
// reads it by each transport.
func TestNodeServesGenesis(t *testing.T) {
	at, registry := common.HexToAddress("0xeEeEEEeE14D718C2B47D9923Deab1335E144EeEe"), common.Address{1, 2, 3}
	code, err := RuntimeCode(UniversalResolver, registry)
	if err != nil {
		t.Fatal(err)
	}
	genesis := time.Unix(1_700_000_000, 0)
	n := startNode(t, NodeConfig{
		ChainID: 1, Alloc: types.GenesisAlloc{at: {Code: code, Balance: common.Big0}}, Time: genesis,
		HTTP: true, WS: true, IPCPath: filepath.Join(t.TempDir(), "node.ipc"),
	})
	call, err := Pack(UniversalResolver, "registry()")
	if err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{n.HTTPURL(), n.WSURL(), n.config.IPCPath} {
		client, err := rpc.DialContext(t.Context(), endpoint)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		var id hexutil.Uint64
		var output hexutil.Bytes
		var proof map[string]any
		var first *types.Header
		batch := []rpc.BatchElem{
			{Method: "eth_chainId", Result: &id},
			{Method: "eth_call", Args: []any{map[string]any{"to": at, "data": hexutil.Bytes(call)}, "latest"}, Result: &output},
			{Method: "eth_getProof", Args: []any{at, []string{}, "latest"}, Result: &proof},
			{Method: "eth_getBlockByNumber", Args: []any{"0x0", false}, Result: &first},
		}
		if err := client.BatchCallContext(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		for _, element := range batch {
			if element.Error != nil {
				t.Errorf("%s: %v", element.Method, element.Error)
			}
		}
		if id != 1 || common.BytesToAddress(output) != registry || proof["accountProof"] == nil || first.Time != uint64(genesis.Unix()) {
			t.Errorf("%s: chain %d, registry %x, genesis %+v", endpoint, id, output, first)
		}
	}
}

func TestNodeMakesBlocks(t *testing.T) {
	n := startNode(t, NodeConfig{WS: true, Period: 20 * time.Millisecond})
	client, err := ethclient.DialContext(t.Context(), n.WSURL())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	heads := make(chan *types.Header, 16)
	subscription, err := client.SubscribeNewHead(t.Context(), heads)
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Unsubscribe()
	var last uint64
	for range 3 {
		select {
		case head := <-heads:
			if last != 0 && head.Number.Uint64() != last+1 {
				t.Errorf("block %d after %d", head.Number, last)
			}
			last = head.Number.Uint64()
		case <-time.After(10 * time.Second):
			t.Fatal("no block")
		}
	}
	if n.HTTPURL() != "" {
		t.Error("HTTP is served though it was not asked for")
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if _, err := n.Mine(); err == nil {
		t.Error("a closed node made a block")
	}
}

func TestNodeRefusesPortInUse(t *testing.T) {
	n := startNode(t, NodeConfig{HTTP: true})
	u, err := url.Parse(n.HTTPURL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := StartNode(t.Context(), NodeConfig{HTTP: true, Port: port}); err == nil {
		t.Error("two nodes on one port")
	}
	if _, err := Start(t.Context(), Config{Port: port}); err == nil {
		t.Error("two chains on one port")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartNode(ended, NodeConfig{}); err == nil {
		t.Error("started though the context had ended")
	}
}

func TestNodeLogsQuietly(t *testing.T) {
	var buf bytes.Buffer
	before := slog.Default()
	n := startNode(t, NodeConfig{Log: slog.New(slog.NewTextHandler(&buf, nil))})
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if buf.Len() != 0 {
		t.Errorf("logged above debug: %s", buf.String())
	}
	if slog.Default() != before {
		t.Error("the process's logger was replaced")
	}
	buf.Reset()
	l := quiet(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("a", 1)
	l.Error("something")
	l.Trace("nothing")
	if got := buf.String(); !strings.Contains(got, "level=DEBUG msg=something a=1") || strings.Contains(got, "nothing") {
		t.Errorf("logged %q", got)
	}
}
