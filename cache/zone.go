package cache

import "slices"

// Zone is a kind of zone that an entry is from (Entry.Zone).
type Zone uint8

// zones are the names of the kinds; the last stands for all others.
var zones = [...]string{"", "onchain", "recursive", "forward", "special", "local", "other"}

// Zones is how many kinds there are.
const Zones = len(zones)

// String returns the name used in metrics.
func (z Zone) String() string { return zones[min(int(z), len(zones)-1)] }

func zoneOf(name string) Zone {
	if i := slices.Index(zones[:], name); i >= 0 {
		return Zone(i)
	}
	return Zone(len(zones) - 1)
}
