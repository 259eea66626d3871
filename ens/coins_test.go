package ens

import (
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

// TestAddresses compares with the reference's spelling.
func TestAddresses(t *testing.T) {
	var list []struct {
		Coin                uint64
		Symbol, Bytes, Text string
	}
	readJSON(t, "testdata/addresses.json", &list)
	tested := make(map[uint64]bool)
	for _, v := range list {
		c := coinOf(t, v.Coin)
		tested[v.Coin] = true
		if got := c.text(common.FromHex(v.Bytes)); got != v.Text || c.symbol != v.Symbol {
			t.Errorf("%s %s is %q, want %s %q", c.symbol, v.Bytes, got, v.Symbol, v.Text)
		}
	}
	for _, c := range coins() {
		if !tested[c.kind] {
			t.Errorf("%s has no vector", c.symbol)
		}
	}
}

func coinOf(t *testing.T, kind uint64) coin {
	for _, c := range coins() {
		if c.kind == kind {
			return c
		}
	}
	t.Fatalf("no coin %d", kind)
	return coin{}
}

// TestNoAddresses: bytes that are no address of the coin have no text.
func TestNoAddresses(t *testing.T) {
	bad := []string{"", "00", "76a914", "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ad", "a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888",
		"0014", "001511", "5151", "0013" + strings.Repeat("11", 19), "6128" + strings.Repeat("11", 40), "5129" + strings.Repeat("11", 41),
		strings.Repeat("00", 20), strings.Repeat("ff", 128), strings.Repeat("01", 21), strings.Repeat("42", 33)}
	for _, c := range coins() {
		for _, s := range bad {
			got := c.text(common.FromHex(s))
			if got != "" && !goodFor(c.symbol, s) {
				t.Errorf("%s of %s is %q", c.symbol, s, got)
			}
		}
	}
}

// goodFor tells for which coins any 20 bytes are an account, on XRP after a zero.
func goodFor(symbol, s string) bool {
	switch symbol {
	case "ATOM", "AVAX":
		return len(s) == 40
	case "XRP":
		return len(s) == 42 && strings.HasPrefix(s, "00")
	}
	return false
}

// FuzzAddress: an address is one bounded word of letters, digits and a colon, whatever the bytes.
func FuzzAddress(f *testing.F) {
	f.Add(uint8(0), common.FromHex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"))
	f.Add(uint8(9), make([]byte, 32))
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		if len(b) > maxAddress {
			return
		}
		c := coins()[int(n)%len(coins())]
		text := c.text(b)
		if len(text) > 120 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:") != "" {
			t.Fatalf("%s of %x is %q", c.symbol, b, text)
		}
	})
}
