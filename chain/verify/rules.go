package verify

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"dens/chain"
)

// rulesOf returns the rules that a block of a chain was made by. Of chains that the library does not know
// they follow from the header: each fork since London has added a field to it.
func rulesOf(chainID uint64, header *types.Header) (*params.ChainConfig, error) {
	config := known(chainID)
	// On none of the known chains was a block without proof of work older than London: one that is comes from
	// a private chain with the same id.
	if config == nil || isMerged(header) && !config.IsLondon(header.Number) {
		config = byHeader(chainID, header)
	}
	if rules := config.Rules(header.Number, isMerged(header), header.Time); rules.IsUBT {
		return nil, fmt.Errorf("%w: the chain's state is no longer a Merkle-Patricia trie at block %d: a newer version of dens is needed", chain.ErrMalformed, header.Number)
	}
	return config, nil
}

func known(chainID uint64) *params.ChainConfig {
	for _, c := range []*params.ChainConfig{params.MainnetChainConfig, params.SepoliaChainConfig, params.HoodiChainConfig} {
		if c.ChainID.Uint64() == chainID {
			return c
		}
	}
	return nil
}

// isMerged says whether a block has no proof of work (EIP-3675): its difficulty is zero then.
func isMerged(header *types.Header) bool { return header.Difficulty.Sign() == 0 }

// byHeader has all forks up to the newest that the header shows. Osaka added no field: it is taken to be
// there with Prague, since what it adds only makes more contracts work.
func byHeader(chainID uint64, header *types.Header) *params.ChainConfig {
	c := *params.AllDevChainProtocolChanges
	c.ChainID = new(big.Int).SetUint64(chainID)
	c.BlobScheduleConfig = params.MainnetChainConfig.BlobScheduleConfig
	c.ShanghaiTime, c.CancunTime, c.PragueTime, c.OsakaTime, c.AmsterdamTime, c.BogotaTime, c.UBTTime = nil, nil, nil, nil, nil, nil, nil
	zero := new(uint64)
	if header.BaseFee == nil {
		c.LondonBlock = nil
	}
	if header.WithdrawalsHash != nil {
		c.ShanghaiTime = zero
	}
	if header.ParentBeaconRoot != nil {
		c.CancunTime = zero
	}
	if header.RequestsHash != nil {
		c.PragueTime, c.OsakaTime = zero, zero
	}
	if header.SlotNumber != nil {
		c.AmsterdamTime = zero
	}
	return &c
}
