package light

import (
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
)

// Named returns a network that is built in: mainnet, sepolia, hoodi or gnosis.
func Named(name string) (*Network, bool) {
	switch name {
	case "mainnet":
		return ofParams(name, params.MainnetLightConfig), true
	case "sepolia":
		return ofParams(name, params.SepoliaLightConfig), true
	case "hoodi":
		return ofParams(name, params.HoodiLightConfig), true
	case "gnosis":
		return gnosis(), true
	}
	return nil, false
}

// ofParams takes over a network that go-ethereum knows. They all have the mainnet preset.
func ofParams(name string, c *params.ChainConfig) *Network {
	n := &Network{
		Name:            name,
		Genesis:         time.Unix(int64(c.GenesisTime), 0).UTC(),
		ValidatorsRoot:  c.GenesisValidatorsRoot,
		SlotTime:        12 * time.Second,
		SlotsPerEpoch:   params.EpochLength,
		EpochsPerPeriod: params.SyncPeriodLength / params.EpochLength,
		CommitteeSize:   params.SyncCommitteeSize,
	}
	for _, f := range c.Forks {
		fork := Fork{Name: forkName(f.Name), Epoch: f.Epoch}
		copy(fork.Version[:], f.Version)
		n.Forks = append(n.Forks, fork)
	}
	return n
}

// forkName turns the name of a fork in config.yaml into that of the beacon API.
func forkName(key string) string {
	if key == "GENESIS" {
		return "phase0"
	}
	return strings.ToLower(key)
}

// gnosis is Gnosis Chain, by the configuration that its operators publish (gnosischain/configs).
func gnosis() *Network {
	return &Network{
		Name:            "gnosis",
		Genesis:         time.Unix(1638993340, 0).UTC(),
		ValidatorsRoot:  common.HexToHash("0xf5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47"),
		SlotTime:        5 * time.Second,
		SlotsPerEpoch:   16,
		EpochsPerPeriod: 512,
		CommitteeSize:   params.SyncCommitteeSize,
		Forks: []Fork{
			{"phase0", 0, [4]byte{0x00, 0x00, 0x00, 0x64}},
			{"altair", 512, [4]byte{0x01, 0x00, 0x00, 0x64}},
			{"bellatrix", 385536, [4]byte{0x02, 0x00, 0x00, 0x64}},
			{"capella", 648704, [4]byte{0x03, 0x00, 0x00, 0x64}},
			{"deneb", 889856, [4]byte{0x04, 0x00, 0x00, 0x64}},
			{"electra", 1337856, [4]byte{0x05, 0x00, 0x00, 0x64}},
			{"fulu", 1714688, [4]byte{0x06, 0x00, 0x00, 0x64}},
		},
	}
}
