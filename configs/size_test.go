package configs

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"64MiB": 64 << 20, `"1 GiB"`: 1 << 30, "2048KiB": 2 << 20, "1024GiB": 1 << 40, // in all: the default
		"64": 0, "64MB": 0, "1KiB": 0, "1025GiB": 0, "-1GiB": 0, "1.5GiB": 0, "MiB": 0, "99999999999GiB": 0, "[]": 0, `""`: 0, "0x40MiB": 0,
	} {
		c, err := Parse("dens.yaml", []byte("cache:\n  size: "+text+"\n"), func(string) (string, bool) { return "", false })
		if want == 0 {
			if err == nil || !strings.Contains(err.Error(), "dens.yaml:2: cache.size: found ") || !strings.Contains(err.Error(), "expected a size from 1MiB to 1024GiB, such as 64MiB") {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err != nil || c.Cache.Size != want {
			t.Errorf("%s: %v: %+v, want %d", text, err, c.Cache, want)
		}
	}
	if size := Default().Cache.Size; size != 256<<20 {
		t.Errorf("%d octets without the key", size)
	}
}
