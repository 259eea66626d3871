package forward

import (
	crand "crypto/rand"
	"math/rand/v2"
	"sync"
	"time"
)

// chance is a source of numbers that strangers cannot guess (RFC 5452 section 4.4).
type chance struct {
	mu  sync.Mutex
	src rand.Source
}

func newChance(src rand.Source) *chance {
	if src == nil {
		var seed [32]byte
		crand.Read(seed[:]) // never fails (Go 1.24)
		src = rand.NewChaCha8(seed)
	}
	return &chance{src: src}
}

func (c *chance) uint64() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.src.Uint64()
}

func (c *chance) id() uint16 { return uint16(c.uint64()) }

// jitter returns d, or up to a quarter more or less.
func (c *chance) jitter(d time.Duration) time.Duration {
	return d + time.Duration((float64(c.uint64()>>11)/(1<<53)-0.5)*0.5*float64(d))
}

// mixCase gives each letter of a name in wire form upper or lower case by chance, so that a forger has
// to guess that too (draft-vixie-dnsext-dns0x20). Lengths of labels are below 64: none is a letter.
func (c *chance) mixCase(name []byte) {
	var bits uint64
	left := 0
	for i, b := range name {
		if l := b | 0x20; l < 'a' || l > 'z' {
			continue
		}
		if left == 0 {
			bits, left = c.uint64(), 64
		}
		name[i] = b&^0x20 | byte(bits&1)<<5
		bits >>= 1
		left--
	}
}
