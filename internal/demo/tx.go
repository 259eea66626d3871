package demo

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	txGas      = 16_000_000 // of one transaction; just below the cap of EIP-7825
	maxTxBlock = 512        // transactions of one Apply
)

// Tx is a transaction by the demo's owner: to a contract, or with no To the creation of one.
type Tx struct {
	To   *common.Address
	Data []byte
}

// Apply sends transactions in order, makes a block of them, and fails if one of them did.
func (c *Chain) Apply(ctx context.Context, txs ...Tx) error {
	_, err := c.apply(ctx, txs)
	return err
}

// apply returns the nonce of the first transaction too.
func (c *Chain) apply(ctx context.Context, txs []Tx) (uint64, error) {
	if len(txs) > maxTxBlock {
		return 0, fmt.Errorf("%d transactions at once", len(txs))
	}
	c.mu.Lock() // one at a time, or two would take the same nonce
	defer c.mu.Unlock()
	client := ethclient.NewClient(c.Client())
	nonce, err := client.NonceAt(ctx, c.Owner, nil)
	if err != nil {
		return 0, fmt.Errorf("nonce: %w", err)
	}
	hashes := make([]common.Hash, len(txs))
	for i, tx := range txs {
		signed, err := c.sign(tx, nonce+uint64(i))
		if err != nil {
			return 0, err
		}
		if err := client.SendTransaction(ctx, signed); err != nil {
			return 0, fmt.Errorf("transaction %d of %d: %w", i+1, len(txs), err)
		}
		hashes[i] = signed.Hash()
	}
	return nonce, c.mineAll(ctx, client, hashes, nonce+uint64(len(txs)))
}

// mineAll makes blocks until the owner's nonce is as wanted. Blocks of the ticker count too.
func (c *Chain) mineAll(ctx context.Context, client *ethclient.Client, hashes []common.Hash, want uint64) error {
	for range len(hashes) + 1 {
		nonce, err := client.NonceAt(ctx, c.Owner, nil)
		if err != nil {
			return fmt.Errorf("nonce: %w", err)
		}
		if nonce >= want {
			return checkReceipts(ctx, client, hashes)
		}
		if _, err := c.Mine(); err != nil {
			return err
		}
	}
	return errors.New("transactions were not taken into a block")
}

func checkReceipts(ctx context.Context, client *ethclient.Client, hashes []common.Hash) error {
	for i, hash := range hashes {
		receipt, err := client.TransactionReceipt(ctx, hash)
		if err != nil {
			return fmt.Errorf("receipt of transaction %d: %w", i+1, err)
		}
		if receipt.Status != types.ReceiptStatusSuccessful {
			return fmt.Errorf("transaction %d of %d failed after %d gas", i+1, len(hashes), receipt.GasUsed)
		}
	}
	return nil
}

func (c *Chain) sign(tx Tx, nonce uint64) (*types.Transaction, error) {
	id := new(big.Int).SetUint64(c.ChainID())
	signed, err := types.SignNewTx(c.key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: nonce, To: tx.To, Data: tx.Data, Gas: txGas,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(50 * params.GWei),
	})
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return signed, nil
}

// Deploy puts a contract on the chain and returns its address.
func (c *Chain) Deploy(ctx context.Context, contract Contract, args ...any) (common.Address, error) {
	code, err := CreationCode(contract, args...)
	if err != nil {
		return common.Address{}, err
	}
	nonce, err := c.apply(ctx, []Tx{{Data: code}})
	return crypto.CreateAddress(c.Owner, nonce), err
}

// Call executes a read-only call at the newest block. When the contract reverts, reverted is true and
// output is what it reverted with.
func (c *Chain) Call(ctx context.Context, to common.Address, data []byte) (output []byte, reverted bool, err error) {
	var result hexutil.Bytes
	message := map[string]any{"to": to, "data": hexutil.Bytes(data)}
	err = c.Client().CallContext(ctx, &result, "eth_call", message, "latest")
	var revert rpc.DataError
	if errors.As(err, &revert) {
		if text, ok := revert.ErrorData().(string); ok {
			data, decodeErr := hexutil.Decode(text)
			if decodeErr == nil {
				return data, true, nil
			}
		}
	}
	return result, false, err
}
