package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAnchorOfOwnZone: the keys of a zone that only its own servers know are fetched there, whoever they are.
func TestAnchorOfOwnZone(t *testing.T) {
	anchor, at := signedZone(t, "corp.example.")
	file := filepath.Join(t.TempDir(), "anchors")
	if err := os.WriteFile(file, []byte(anchor), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, keys := range []string{
		"mode: recursive, zones: [{ zone: corp.example, stub: [" + at + "] }]",
		"mode: recursive, zones: [{ zone: corp.example, forward: [" + at + "] }]",
		"mode: forward, forward: [127.0.0.1:1], zones: [{ zone: corp.example, stub: [" + at + "] }]",
		"mode: forward, forward: [" + at + "]",
	} {
		t.Run(keys, func(t *testing.T) {
			cfg := parseConfig(t, "chains: {}\nnames: []\nresolve: { trust_anchor: "+file+", "+keys+" }\n")
			s, err := newStack(cfg, nil, true, quietLogger())
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			if err := s.engine.anchors.Refresh(t.Context(), "corp.example."); err != nil {
				t.Error(err)
			}
		})
	}
}
