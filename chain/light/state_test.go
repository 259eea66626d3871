package light

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

// sealed is a stored state with its checksum made right again.
func sealed(data []byte) []byte {
	body := data[:len(data)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(append([]byte{}, body...), sum[:]...)
}

func stored(tb testing.TB, s *Store) []byte {
	tb.Helper()
	data, err := s.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestStateRoundTrip(t *testing.T) {
	w := newWorld(small())
	begun := w.store(t, 16)
	known := w.store(t, 16)
	w.mustApply(t, known, w.update(50).whole(t))
	gloas := w.store(t, 370)
	m := w.update(400)
	m.signers = 23
	if _, err := gloas.Apply(w.update(381).whole(t), w.at(382)); err != nil {
		t.Fatal(err)
	}
	w.mustApply(t, gloas, m.whole(t))
	for i, s := range []*Store{begun, known, gloas} {
		data := stored(t, s)
		again, err := UnmarshalStore(w.n, data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s, again) {
			t.Errorf("store %d: %+v is read as %+v", i, s, again)
		}
		for j := range data {
			data[j] ^= 0xff // what was read shares nothing with the bytes
		}
		if !reflect.DeepEqual(s, again) {
			t.Errorf("store %d shares memory with its stored state", i)
		}
	}
	w.mustApply(t, known, w.update(70).whole(t))
}

func TestStateRefused(t *testing.T) {
	w := newWorld(small())
	s := w.store(t, 16)
	w.mustApply(t, s, w.update(50).whole(t))
	good := stored(t, s)
	at := func(offset int, value ...byte) func([]byte) []byte {
		return func(d []byte) []byte { copy(d[len(stateMagic)+offset:], value); return sealed(d) }
	}
	// Offsets of state: validators root 0, size 32, checkpoint 36, its slot 68, heads of 108 bytes at 76 and 184.
	header := len(stateMagic) + binary.Size(state{})
	tests := []struct {
		name   string
		change func(d []byte) []byte
		want   string
	}{
		{"nothing", func(d []byte) []byte { return nil }, "found 0 bytes"},
		{"a part", func(d []byte) []byte { return d[:header] }, "expected at least"},
		{"a byte less", func(d []byte) []byte { return d[:len(d)-1] }, "checksum"},
		{"a byte more", func(d []byte) []byte { return append(d, 0) }, "checksum"},
		{"a byte more, sealed", func(d []byte) []byte { return sealed(append(d, 0)) }, "bytes of committees"},
		{"a committee less", func(d []byte) []byte { return sealed(append(d[:header+33*48:header+33*48], make([]byte, 32)...)) }, "bytes of committees"},
		{"a bit turned", func(d []byte) []byte { d[300] ^= 1; return d }, "checksum"},
		{"another format", func(d []byte) []byte { d[len(stateMagic)-1] = 2; return sealed(d) }, "found format"},
		{"another network", at(0, 1, 2, 3), "validators root"},
		{"another size", at(32, 0, 0, 2, 0), "committees of 512, expected 32"},
		{"checkpoint after the head", at(68, 0, 0, 0, 0, 0, 0, 1, 0), "expected them to fall"},
		{"finality after the head", at(184, 0, 0, 0, 0, 0, 0, 0, 60), "expected them to fall"},
		{"a key", func(d []byte) []byte { copy(d[header:], d[header+48:header+96]); return sealed(d) }, "the sum of all keys"},
		{"no key", func(d []byte) []byte { clear(d[header : header+48]); return sealed(d) }, "key 0"},
		{"a key of the next", func(d []byte) []byte { clear(d[header+34*48 : header+35*48]); return sealed(d) }, "next: "},
	}
	for _, test := range tests {
		_, err := UnmarshalStore(w.n, test.change(append([]byte{}, good...)))
		if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, expected %s", test.name, err, test.want)
		}
	}
	other := small()
	other.ValidatorsRoot = common.Hash{1}
	if _, err := UnmarshalStore(other, good); !errors.Is(err, ErrState) {
		t.Errorf("for another network: %v", err)
	}
	other = small()
	other.CommitteeSize = 512
	if _, err := UnmarshalStore(other, good); !errors.Is(err, ErrState) {
		t.Errorf("for committees of another size: %v", err)
	}
	if _, err := UnmarshalStore(w.n, good); err != nil {
		t.Error(err)
	}
}

// FuzzUnmarshalStore reads states whose checksum was made right: what is taken over is whole, and the same
// when it is written and read again.
func FuzzUnmarshalStore(f *testing.F) {
	w := newWorld(small())
	w.n.CommitteeSize = 8
	s := w.store(f, 16)
	f.Add(stored(f, s))
	if _, err := s.Apply(w.update(50).whole(f), w.at(51)); err != nil {
		f.Fatal(err)
	}
	f.Add(stored(f, s))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= sha256.Size {
			data = sealed(data)
		}
		s, err := UnmarshalStore(w.n, data)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Errorf("%v, expected ErrState", err)
			}
			return
		}
		if s.current == nil || s.period != w.n.Period(s.finalized.Slot) || s.current.root != s.current.keys.root() {
			t.Errorf("not whole: %+v", s)
		}
		s.Missing(w.at(100))
		again, err := UnmarshalStore(w.n, stored(t, s))
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%+v is read as %+v, %v", s, again, err)
		}
	})
}
