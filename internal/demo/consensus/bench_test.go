package consensus

import (
	"fmt"
	"testing"
)

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		c, err := Start(b.Context(), Config{Head: execution(), Port: -1})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewCommittee(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		NewCommittee(fmt.Sprint(i))
	}
}

func BenchmarkForge(b *testing.B) {
	c, err := Start(b.Context(), Config{Head: execution(), Port: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing is open
	for b.Loop() {
		if _, err := c.Forge(Forgery{}); err != nil {
			b.Fatal(err)
		}
	}
}
