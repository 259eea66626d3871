package ens

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

// TestContentHash compares with the reference, whose text has no scheme.
func TestContentHash(t *testing.T) {
	schemes := map[string]string{"ipfs": "/ipfs/", "ipns": "/ipns/", "swarm": "/bzz/", "onion": "onion://",
		"onion3": "onion3://", "skynet": "sia://", "arweave": "ar://", "adnl": "adnl://"}
	var list []struct{ Hash, Codec, Text string }
	readJSON(t, "testdata/contenthash.json", &list)
	if len(list) < 12 {
		t.Fatalf("%d vectors", len(list))
	}
	for _, v := range list {
		want := schemes[v.Codec] + v.Text
		got, err := DecodeContentHash(common.FromHex(v.Hash))
		if err != nil || got != want {
			t.Errorf("DecodeContentHash(%s) = %q, %v, want %q", v.Hash, got, err, want)
		}
		hash, err := encodeContentHash(want)
		if err != nil || hex.EncodeToString(hash) != v.Hash {
			t.Errorf("encodeContentHash(%q) = %x, %v, want %s", want, hash, err, v.Hash)
		}
	}
}

func readJSON(t testing.TB, file string, v any) {
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEncodeContentHashOfOlderForms(t *testing.T) {
	tests := []struct{ in, want string }{
		{"ipfs://QmRAQB6YaCyidP37UdDnjFY5vQuiBrcqdyoW1CuDgwxkD4", "/ipfs/bafybeibj6lixxzqtsb45ysdjnupvqkufgdvzqbnvmhw2kf7cfkesy7r7d4"},
		{"/ipns/QmRAQB6YaCyidP37UdDnjFY5vQuiBrcqdyoW1CuDgwxkD4", "/ipns/k2k4r8kgnix5x0snul9112xdpqgiwc5xmvi8ja0szfhntep2d7qv8zz3"},
		{"bzz://d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162", "/bzz/d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162"},
	}
	for _, tt := range tests {
		hash, err := encodeContentHash(tt.in)
		if err != nil {
			t.Errorf("encodeContentHash(%q): %v", tt.in, err)
			continue
		}
		if got, err := DecodeContentHash(hash); err != nil || got != tt.want {
			t.Errorf("%q comes back as %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestBadContentHashes(t *testing.T) {
	ipfs := "e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f"
	for _, s := range []string{
		"", "e3", "e301", "e30101", "00", "ff", "ffffffffffffffffffff01", "e38000" + ipfs[4:], "b9a8c8eac806",
		ipfs[:len(ipfs)-2], ipfs + "00", // cut short, and with more behind
		"e301027012" + ipfs[10:],                     // CID of a version yet to come
		"e5010170000f6170702e756e69737761702e6f7220", // a space in the domain
		"e5010170000548656c6c6f",                     // no domain
		"e50101700000",                               // nothing
		"e40101fa0112201111111111111111111111111111111111111111111111111111111111111111", // SHA-256 for Swarm
		"e40101701b20d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162",   // dag-pb for Swarm
		"bc037a716b746c7769346665637", "bc037a716b746c776934666563766f367249", // too short; a capital
		"90b2c605080040", "90b2ca05cacd", "90b2da05aa",
		strings.Repeat("e3", 257),
	} {
		hash, _ := hex.DecodeString(s)
		if got, err := DecodeContentHash(hash); !errors.Is(err, ErrContentHash) {
			t.Errorf("DecodeContentHash(%s) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "/", "/ipfs", "/ipfs/", "/ipfs/x", "/ipns/", "/ipns/nodot", "/ipns/" + strings.Repeat("a", 40) + ".eth",
		"/ipns/-a.eth", "/ipns/A.eth", "http://example.org", "onion://short", "sia://!!", "ar://AA", "adnl://zz", "/bzz/11", "ipfs://" + strings.Repeat("b", 5000)} {
		if got, err := encodeContentHash(s); !errors.Is(err, ErrContentHash) {
			t.Errorf("encodeContentHash(%q) = %x, %v", s, got, err)
		}
	}
}

// FuzzContentHash: text forms are printable, without spaces or quotes, bounded, and lead back to a hash
// with the same text.
func FuzzContentHash(f *testing.F) {
	var list []struct{ Hash string }
	readJSON(f, "testdata/contenthash.json", &list)
	for _, v := range list {
		f.Add(common.FromHex(v.Hash))
	}
	f.Add(common.FromHex("e3011220" + strings.Repeat("29", 32))) // CIDv0
	f.Fuzz(func(t *testing.T, hash []byte) {
		before := bytes.Clone(hash)
		text, err := DecodeContentHash(hash)
		if !bytes.Equal(before, hash) {
			t.Fatal("the hash was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrContentHash) {
				t.Fatalf("error is %v", err)
			}
			return
		}
		if len(text) > 2*maxContentHash+16 {
			t.Fatalf("text has %d characters", len(text))
		}
		for _, c := range []byte(text) {
			if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
				t.Fatalf("text is %q", text)
			}
		}
		again, err := encodeContentHash(text)
		if err != nil {
			t.Fatalf("%q from %x is not encoded: %v", text, hash, err)
		}
		if back, err := DecodeContentHash(again); err != nil || back != text {
			t.Fatalf("%q becomes %q, %v", text, back, err)
		}
	})
}
