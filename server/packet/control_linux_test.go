package packet

import (
	"bytes"
	"testing"
)

// Whatever stands in control data, the outcome is a part of it.
func FuzzReplyControl(f *testing.F) {
	v4 := []byte{28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 77, 0, 0, 0, 0}
	v6 := append([]byte{36, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 50, 0, 0, 0}, make([]byte, 24)...)
	for _, seed := range [][]byte{nil, {1}, v4, v6, append(bytes.Clone(v6), v4...), make([]byte, controlSize)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, control []byte) {
		room := new(slot)
		n := copy(room.control[:], control)
		if out := replyControl(room.control[:n]); len(out) > n || len(out) > 0 && len(out) < 28 {
			t.Errorf("%x became %x", control, out)
		}
		if out := replySource(control); len(out) > controlSize {
			t.Errorf("%x became %x", control, out)
		}
	})
}

func TestReplyControl(t *testing.T) {
	room := new(slot)
	v4 := room.control[:copy(room.control[:], []byte{28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 77, 0, 0, 0, 0})]
	if got := replyControl(v4); len(got) != 28 || got[16] != 0 || !bytes.Equal(got[20:24], []byte{127, 0, 0, 1}) {
		t.Errorf("got %x, want no interface and the address", got)
	}
	multicast := append([]byte{36, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 50, 0, 0, 0, 0xff, 2}, make([]byte, 22)...)
	v6 := room.control[:copy(room.control[:], multicast)]
	if got := replyControl(v6); got != nil {
		t.Errorf("a multicast address gave %x: nobody can send from it", got)
	}
}
