// Package demo is a world of its own for dens to answer from, without a network: an Ethereum node in
// the process with ENS-compatible contracts and sample names, a beacon chain that signs its blocks, a
// CCIP-Read gateway, and a DNS server that stands for the rest of the internet.
//
// The contracts below contracts/ are the project's own; artifacts.json holds them compiled. Nothing here
// is meant for a chain that matters: the keys are derived from fixed words.
package demo

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"dens/internal/demo/consensus"
)

// closeTimeout bounds the wait for DNS answers under way when a Chain is closed.
const closeTimeout = 2 * time.Second

// Config is the configuration of a demo chain.
type Config struct {
	Log     *slog.Logger  // nil: no log
	ChainID uint64        // 0: 1337
	Port    int           // of JSON-RPC by HTTP and WebSocket on 127.0.0.1; 0: any free one
	Period  time.Duration // a block is made this often; 0: 4 s; negative: only by Mine and Apply
	// Beacon is the configuration of the beacon chain. Head is set; with a Period it makes a block for each
	// slot of 1 s, otherwise by Advance only unless it says Auto.
	Beacon consensus.Config
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Period == 0 {
		c.Period = 4 * time.Second
	}
	c.Period = max(c.Period, 0)
	return c
}

// Chain is the running demo: a Node, and what its names need beside it. It is safe for concurrent use.
type Chain struct {
	*Node

	// Where everything is; not to be changed.
	Owner             common.Address // of all names; Apply's sender
	Registry          common.Address
	Resolver          common.Address
	WildcardResolver  common.Address
	OffchainResolver  common.Address
	UniversalResolver common.Address
	Garbage           map[Garbage]common.Address
	GatewayURL        string // of the CCIP-Read gateway: a template with {sender} and {data}
	DNS               string // host:port of the DNS server for upstream names, UDP and TCP
	// Beacon signs the node's blocks. Its URL, Checkpoint and NetworkConfig are what a configuration needs.
	Beacon *consensus.Chain

	key      *ecdsa.PrivateKey
	mu       sync.Mutex // serialises Apply
	gateway  *gateway
	upstream *upstream
}

// Start starts the demo. Its names can be resolved on return; ctx bounds the start only.
func Start(ctx context.Context, config Config) (*Chain, error) {
	config = config.withDefaults()
	c := &Chain{}
	if err := c.start(ctx, config); err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), c.Close())
	}
	return c, nil
}

func (c *Chain) start(ctx context.Context, config Config) error {
	var signer *ecdsa.PrivateKey
	var err error
	if c.key, err = wordKey("dens demo owner"); err != nil {
		return err
	}
	if signer, err = wordKey("dens demo gateway"); err != nil {
		return err
	}
	c.Owner = crypto.PubkeyToAddress(c.key.PublicKey)
	if c.upstream, err = startUpstream(); err != nil {
		return err
	}
	c.DNS = c.upstream.addr
	if c.gateway, err = startGateway(signer, offchainNames()); err != nil {
		return err
	}
	c.GatewayURL = c.gateway.url
	wealth := new(big.Int).Exp(big.NewInt(10), big.NewInt(27), nil) // wei
	c.Node, err = StartNode(ctx, NodeConfig{
		Log: config.Log, ChainID: config.ChainID, HTTP: true, WS: true, Port: config.Port, Period: config.Period,
		Alloc: types.GenesisAlloc{c.Owner: {Balance: wealth}},
	})
	if err != nil {
		return err
	}
	txs, err := c.contracts(crypto.PubkeyToAddress(signer.PublicKey))
	if err != nil {
		return err
	}
	names, err := c.seed()
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, append(txs, names...)...); err != nil {
		return err
	}
	return c.startBeacon(ctx, config)
}

// startBeacon starts the beacon chain, all of whose blocks know the names.
func (c *Chain) startBeacon(ctx context.Context, config Config) error {
	beacon := config.Beacon
	beacon.Head = c.Head
	beacon.Auto = beacon.Auto || config.Period > 0
	var err error
	c.Beacon, err = consensus.Start(ctx, beacon)
	return err
}

// Advance returns when the beacon chain's head holds the node's newest block: at once when the slot before
// the one of now is free, else after the rest of a slot. To be called after Mine and Apply, when answers are
// proven by the beacon chain.
func (c *Chain) Advance(ctx context.Context) error { return c.Beacon.Follow(ctx) }

// contracts are the transactions that deploy all contracts on a new chain. Their addresses are set at
// once, since they follow from the order.
func (c *Chain) contracts(signer common.Address) ([]Tx, error) {
	var txs []Tx
	var failed error
	deploy := func(contract Contract, args ...any) common.Address {
		code, err := CreationCode(contract, args...)
		failed = errors.Join(failed, err)
		txs = append(txs, Tx{Data: code})
		return crypto.CreateAddress(c.Owner, uint64(len(txs)-1))
	}
	c.Registry = deploy(Registry, c.Owner)
	c.Resolver = deploy(Resolver, c.Registry)
	c.UniversalResolver = deploy(UniversalResolver, c.Registry)
	c.WildcardResolver = deploy(WildcardResolver)
	c.OffchainResolver = deploy(OffchainResolver, c.GatewayURL, signer)
	c.Garbage = map[Garbage]common.Address{}
	for mode := Noise; mode <= Foreign; mode++ {
		c.Garbage[mode] = deploy(GarbageResolver, uint8(mode), c.gateway.loopURL)
	}
	return txs, failed
}

// Close stops everything. A second Close does nothing. go-ethereum's servers wait for up to five seconds
// for a client that is connected and has not asked anything yet.
func (c *Chain) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed error
	if c.gateway != nil {
		failed = errors.Join(failed, c.gateway.close())
		c.gateway = nil
	}
	if c.upstream != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		failed = errors.Join(failed, c.upstream.close(ctx))
		c.upstream = nil
	}
	if c.Beacon != nil {
		failed = errors.Join(failed, c.Beacon.Close())
	}
	if c.Node != nil {
		failed = errors.Join(failed, c.Node.Close())
	}
	return failed
}

// wordKey derives a key from words. It protects nothing, and gives the same addresses at every start.
func wordKey(words string) (*ecdsa.PrivateKey, error) {
	return crypto.ToECDSA(crypto.Keccak256([]byte(words)))
}
