package bed

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
)

// Anvil is a running anvil node with an automatic block for each transaction.
type Anvil struct {
	*Process
	HTTP, WS, IPC string
	Client        *rpc.Client
	Deployer      common.Address // an account that the node signs for
}

// StartAnvil starts anvil, with chain id 1, until the test ends. args are further options, and may name
// another chain id.
func StartAnvil(t testing.TB, args ...string) *Anvil {
	t.Helper()
	addr := Free(t)
	port := strconv.Itoa(int(addr.Port()))
	a := &Anvil{HTTP: "http://" + addr.String(), WS: "ws://" + addr.String(), IPC: t.TempDir() + "/anvil.ipc"}
	if !slices.Contains(args, "--chain-id") {
		args = append(args, "--chain-id", "1")
	}
	a.Process = Start(t, Tool(t, "anvil"), append([]string{"--host", "127.0.0.1", "--port", port, "--ipc", a.IPC, "--silent"}, args...)...)
	var err error
	if a.Client, err = rpc.DialContext(t.Context(), a.HTTP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Client.Close)
	Wait(t, 20*time.Second, "anvil answers", func() bool {
		var accounts []common.Address
		err := a.Client.CallContext(t.Context(), &accounts, "eth_accounts")
		if err == nil && len(accounts) > 0 {
			a.Deployer = accounts[0]
		}
		return err == nil
	})
	return a
}

// Call makes one JSON-RPC call, which must succeed.
func (a *Anvil) Call(t testing.TB, result any, method string, args ...any) {
	t.Helper()
	if err := a.Client.CallContext(t.Context(), result, method, args...); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// Send sends a transaction from Deployer and waits for its success.
func (a *Anvil) Send(t testing.TB, to common.Address, data []byte) {
	t.Helper()
	var hash common.Hash
	a.Call(t, &hash, "eth_sendTransaction", map[string]any{
		"from": a.Deployer, "to": to, "data": hexutil.Bytes(data), "gas": hexutil.Uint64(12_000_000),
	})
	var receipt *types.Receipt
	Wait(t, 10*time.Second, "receipt of "+hash.Hex(), func() bool {
		a.Call(t, &receipt, "eth_getTransactionReceipt", hash)
		return receipt != nil
	})
	if receipt.Status != types.ReceiptStatusSuccessful {
		t.Fatalf("transaction to %s failed: %x", to, data[:min(len(data), 4)])
	}
}

// Mine adds blocks.
func (a *Anvil) Mine(t testing.TB, n int) {
	t.Helper()
	a.Call(t, nil, "anvil_mine", hexutil.Uint64(n))
}

// Place puts a contract at an address of choice: its constructor runs there, with storage and immutables
// as a deployment would leave them.
func (a *Anvil) Place(t testing.TB, at common.Address, initcode []byte) {
	t.Helper()
	a.Call(t, nil, "anvil_setCode", at, hexutil.Bytes(initcode))
	var runtime hexutil.Bytes
	a.Call(t, &runtime, "eth_call", map[string]any{"from": a.Deployer, "to": at}, "latest")
	a.Send(t, at, nil)
	a.Call(t, nil, "anvil_setCode", at, runtime)
}

// Dump is the whole state as the genesis of another node.
func (a *Anvil) Dump(t testing.TB) types.GenesisAlloc {
	t.Helper()
	var packed hexutil.Bytes
	a.Call(t, &packed, "anvil_dumpState")
	unzip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Accounts map[common.Address]struct {
			Nonce   uint64
			Balance *hexutil.Big
			Code    hexutil.Bytes
			Storage map[string]string
		}
	}
	if err := json.NewDecoder(unzip).Decode(&state); err != nil {
		t.Fatal(err)
	}
	alloc := types.GenesisAlloc{}
	for addr, account := range state.Accounts {
		storage := map[common.Hash]common.Hash{}
		for slot, value := range account.Storage {
			storage[common.HexToHash(slot)] = common.HexToHash(value)
		}
		alloc[addr] = types.Account{Nonce: account.Nonce, Balance: (*big.Int)(account.Balance), Code: account.Code, Storage: storage}
	}
	return alloc
}
