package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

// NodeConfig is the configuration of an in-process Ethereum node.
type NodeConfig struct {
	Log     *slog.Logger       // nil: no log
	ChainID uint64             // 0: 1337
	Alloc   types.GenesisAlloc // accounts and contracts of the genesis block; the forks' system contracts are added
	Time    time.Time          // of the genesis block, not in the future; zero: a minute ago
	IPCPath string             // absolute path of a socket; "": none
	HTTP    bool               // JSON-RPC by HTTP on 127.0.0.1
	WS      bool               // JSON-RPC by WebSocket on 127.0.0.1, on the same port when HTTP is on
	Port    int                // of HTTP and WS; 0: any free one
	Period  time.Duration      // a block is made this often; 0: only by Mine
}

func (c NodeConfig) withDefaults() NodeConfig {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ChainID == 0 {
		c.ChainID = 1337
	}
	if c.Time.IsZero() {
		c.Time = time.Now().Add(-time.Minute)
	}
	return c
}

// Node is a running Ethereum node: go-ethereum with its blocks made on demand, all of it in memory. It is
// safe for concurrent use.
//
//	StartNode -> running, a block every Period and on Mine -> Close
type Node struct {
	config NodeConfig
	stack  *node.Node
	client *rpc.Client
	stop   context.CancelFunc
	done   sync.WaitGroup
	chain  *core.BlockChain

	mu     sync.Mutex // guards what follows, and keeps blocks from being made two at a time
	beacon *catalyst.SimulatedBeacon
	closed bool
}

// errClosed means that a Node was used after Close.
var errClosed = errors.New("node is closed")

// StartNode starts a node. It is ready for calls on return; ctx bounds the start only.
func StartNode(ctx context.Context, config NodeConfig) (*Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	stack, err := node.New(stackConfig(config))
	if err != nil {
		return nil, fmt.Errorf("ethereum node: %w", err)
	}
	n := &Node{config: config, stack: stack}
	if err := n.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("ethereum node: %w", err), stack.Close())
	}
	run, stop := context.WithCancel(context.Background())
	n.stop = stop
	if config.Period > 0 {
		n.done.Go(func() { n.tick(run) })
	}
	return n, nil
}

func (n *Node) start() error {
	backend, err := eth.New(n.stack, chainConfig(n.config))
	if err != nil {
		return err
	}
	n.stack.RegisterAPIs([]rpc.API{{
		Namespace: "eth",
		Service:   filters.NewFilterAPI(filters.NewFilterSystem(backend.APIBackend, filters.Config{})),
	}})
	if err := n.stack.Start(); err != nil {
		return err
	}
	// The beacon's own period would make blocks beside Mine's, so it is left at zero.
	n.beacon, err = catalyst.NewSimulatedBeacon(0, common.Address{}, backend)
	if err != nil {
		return err
	}
	n.chain = backend.BlockChain()
	n.client = n.stack.Attach()
	return nil
}

// stackConfig is the outer shell: no disk, no peers, servers on loopback.
func stackConfig(c NodeConfig) *node.Config {
	config := node.DefaultConfig
	config.Name = "dens"
	config.DataDir = ""
	config.KeyStoreDir = "." // no keys are kept, but without a directory it makes one in TMPDIR
	config.P2P = p2p.Config{NoDiscovery: true, NoDial: true}
	config.IPCPath = c.IPCPath
	config.Logger = quiet(c.Log)
	modules := []string{"eth", "net", "web3"}
	if c.HTTP {
		config.HTTPHost, config.HTTPPort, config.HTTPModules = "127.0.0.1", c.Port, modules
	}
	if c.WS {
		config.WSHost, config.WSPort, config.WSModules = "127.0.0.1", c.Port, modules
	}
	return &config
}

// chainConfig is the chain: all forks from the start, small caches.
func chainConfig(c NodeConfig) *ethconfig.Config {
	forks := *params.AllDevChainProtocolChanges
	forks.ChainID = new(big.Int).SetUint64(c.ChainID)
	alloc := core.SystemContractAllocs() // without them no block can be made
	maps.Copy(alloc, c.Alloc)
	config := ethconfig.Defaults
	config.Genesis = &core.Genesis{
		Config:    &forks,
		Timestamp: uint64(c.Time.Unix()),
		GasLimit:  ethconfig.Defaults.Miner.GasCeil,
		Alloc:     alloc,
	}
	config.NetworkId = c.ChainID
	config.SyncMode = ethconfig.FullSync
	config.RPCEVMTimeout = time.Minute // calls are bounded by gas; a busy machine must not fail them
	config.TxPool.NoLocals = true
	config.LogNoHistory = true // logs are searched for block by block: there are few
	config.DatabaseCache = 16  // MB, as are the others
	config.TrieCleanCache = 16
	config.TrieDirtyCache = 16
	config.SnapshotCache = 16
	return &config
}

// tick makes blocks until ctx ends.
func (n *Node) tick(ctx context.Context) {
	ticker := time.NewTicker(n.config.Period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if _, err := n.Mine(); err != nil && !errors.Is(err, errClosed) {
				n.config.Log.Warn("no block was made", "err", err)
			}
		}
	}
}

// Mine makes one block of what is pending and returns its hash.
func (n *Node) Mine() (common.Hash, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return common.Hash{}, errClosed
	}
	before := n.chain.CurrentBlock().Number.Uint64()
	hash := n.beacon.Commit()
	// Commit has no error to return: that the head moved is the sign of success.
	if after := n.chain.CurrentBlock().Number.Uint64(); after != before+1 {
		return common.Hash{}, fmt.Errorf("head went from block %d to %d", before, after)
	}
	return hash, nil
}

// Head is the header of the newest block. It must not be changed.
func (n *Node) Head() *types.Header { return n.chain.CurrentBlock() }

// ChainID is the chain's EIP-155 id.
func (n *Node) ChainID() uint64 { return n.config.ChainID }

// HTTPURL is where JSON-RPC is served by HTTP; "" when it is off.
func (n *Node) HTTPURL() string {
	if !n.config.HTTP {
		return ""
	}
	return n.stack.HTTPEndpoint()
}

// WSURL is where JSON-RPC is served by WebSocket; "" when it is off.
func (n *Node) WSURL() string {
	if !n.config.WS {
		return ""
	}
	return n.stack.WSEndpoint()
}

// Client is a JSON-RPC connection within the process. Close closes it.
func (n *Node) Client() *rpc.Client { return n.client }

// Close stops the node and its servers. A second Close does nothing.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	n.mu.Unlock()
	n.stop()
	n.done.Wait()
	n.client.Close()
	return errors.Join(n.beacon.Stop(), n.stack.Close())
}

// loopback is an address on 127.0.0.1.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
