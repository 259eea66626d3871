package configs

import (
	"log/slog"
	"net/netip"
	"time"
)

// The contracts of ENS on Ethereum mainnet.
var (
	mainnetRegistry  = mustAddress("0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e")
	mainnetUniversal = mustAddress("0xeEeEEEeE14D718C2B47D9923Deab1335E144EeEe")
)

// Default returns the built-in configuration: ENS, proven against blocks that two of three public backends
// agree on, which need no key, and everything else from the root of the DNS, validated by DNSSEC.
func Default() *Config {
	return &Config{
		Listen: Listen{
			DNS:                 []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53"), netip.MustParseAddrPort("[::1]:53")},
			HTTP:                netip.MustParseAddrPort("127.0.0.1:8053"),
			TCPIdle:             10 * time.Second,
			MaxTCPClients:       1000,
			MaxTCPPerClient:     50,
			MaxQueriesPerClient: 100,
			MaxInFlight:         10000,
			UDPSize:             1232,
		},
		TLS: TLS{ACME: ACME{
			Directory: "https://acme-v02.api.letsencrypt.org/directory",
			Cache:     NewSecret("/var/lib/dens/acme", "/var/lib/dens/acme"),
		}},
		DoH:       DoH{Path: "/dns-query"},
		Discovery: Discovery{Enabled: true},
		Access:    Access{Allow: append(wordPrefixes("loopback"), wordPrefixes("private")...), Burst: 200, Slip: 2, Octets: 256, UnprovenSize: 1232},
		Cache: Cache{
			Entries:     200000,
			Size:        256 << 20,
			Stale:       24 * time.Hour,
			MaxTTL:      24 * time.Hour,
			NegativeTTL: 15 * time.Minute,
			FailureTTL:  2 * time.Second,
			Prefetch:    true,
		},
		Chains: map[string]Chain{"ethereum": mainnet()},
		Names: []Name{{
			Zone:              "eth.",
			System:            "ens",
			Chain:             "ethereum",
			Registry:          mainnetRegistry,
			UniversalResolver: mainnetUniversal,
			Aliases:           []string{"eth.limo.", "eth.link."},
			TTL:               300 * time.Second,
			NegativeTTL:       60 * time.Second,
		}},
		Resolve: Resolve{
			Mode:     ModeRecursive,
			Validate: true,
			IPv4:     true,
			IPv6:     true,
			Timeout:  5 * time.Second,
		},
		Log: Log{Level: slog.LevelInfo, Format: "text"},
	}
}

// mainnet returns the chain that is there without a file.
func mainnet() Chain {
	c := defaultChain(1,
		// Three operators, so that two that agree are a majority.
		"https://ethereum-rpc.publicnode.com",
		"https://eth.drpc.org",
		"https://mainnet.gateway.tenderly.co",
	)
	c.Network, c.Beacon = networkOf(1), mainnetBeacon()
	return c
}

// defaultChain returns what a chain is without further keys.
func defaultChain(id uint64, urls ...string) Chain {
	c := Chain{
		ID:               id,
		Trust:            TrustProven,
		Quorum:           2,
		MaxCheckpointAge: 14 * day,
		MaxHeadAge:       5 * time.Minute,
		Timeout:          5 * time.Second,
		BlockTime:        12 * time.Second,
		CCIP:             CCIP{Timeout: 5 * time.Second},
	}
	for _, u := range urls {
		e, want := parseRPC(text{raw: u, val: u})
		if want != "" {
			panic("default backend " + e.String())
		}
		c.RPC = append(c.RPC, RPC{Endpoint: e, Batch: true})
	}
	return c
}

// mainnetBeacon returns beacon APIs of Ethereum mainnet that serve light clients and need no key.
func mainnetBeacon() []Beacon {
	var all []Beacon
	for _, u := range []string{
		"https://lodestar-mainnet.chainsafe.io",
		"https://ethereum-beacon-api.publicnode.com",
		"https://ethereum.operationsolarstorm.org",
	} {
		e, want := parseBeacon(text{raw: u, val: u})
		if want != "" {
			panic("default beacon API " + e.String())
		}
		all = append(all, Beacon{e})
	}
	return all
}

func mustAddress(s string) Address {
	a, want := parseAddress(s)
	if want != "" {
		panic(s)
	}
	return a
}

// wordPrefixes returns the networks that a word of access.allow stands for, nil for an unknown word.
func wordPrefixes(word string) []netip.Prefix {
	var list []string
	switch word {
	case "loopback":
		list = []string{"127.0.0.0/8", "::1/128"}
	case "private": // RFC 1918, RFC 4193, and link-local addresses
		list = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"}
	case "any":
		list = []string{"0.0.0.0/0", "::/0"}
	}
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}
