package verify

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"dens/chain"
)

// rulesOf returns the rules that a block of a chain was made by: those of the library, or the newest for a
// chain that it does not know.
func rulesOf(chainID uint64, header *types.Header) (config *params.ChainConfig, library bool, err error) {
	config = known(chainID)
	// On none of the known chains was a block without proof of work older than London: one that is comes from
	// a private chain with the same id.
	if config == nil || isMerged(header) && !config.IsLondon(header.Number) {
		return newestRules(chainID, header), false, nil
	}
	rules := config.Rules(header.Number, isMerged(header), header.Time)
	newer := header.SlotNumber != nil && !rules.IsAmsterdam || header.BlockAccessListHash != nil && !rules.IsAmsterdam ||
		header.RequestsHash != nil && !rules.IsPrague || header.ParentBeaconRoot != nil && !rules.IsCancun ||
		header.WithdrawalsHash != nil && !rules.IsShanghai
	if newer || rules.IsUBT {
		return nil, true, fmt.Errorf("%w: block %d was made by rules that this version does not know: upgrade dens", chain.ErrNotReady, header.Number)
	}
	return config, true, nil
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

// newestRules has all forks up to Osaka. Chains take them over in their own time, and their headers do not show
// it: BSC and Polygon run Cancun's instructions in blocks that look older. What forks add only makes more
// contracts work, and those that were there mean the same, so newer rules than a chain's own do no harm;
// older ones would take an instruction for an invalid one, and an answer for none. Amsterdam, which prices
// what was there anew, counts where the header shows it.
func newestRules(chainID uint64, header *types.Header) *params.ChainConfig {
	c := *params.AllDevChainProtocolChanges
	c.ChainID = new(big.Int).SetUint64(chainID)
	c.BlobScheduleConfig = params.MainnetChainConfig.BlobScheduleConfig
	zero := new(uint64)
	c.ShanghaiTime, c.CancunTime, c.PragueTime, c.OsakaTime = zero, zero, zero, zero
	c.AmsterdamTime, c.BogotaTime, c.UBTTime = nil, nil, nil
	if header.SlotNumber != nil {
		c.AmsterdamTime = zero
	}
	return &c
}
