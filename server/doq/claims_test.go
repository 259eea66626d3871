package doq

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"runtime"
	"testing"
)

// dribble has some octets, and then the time is over.
type dribble struct{ octets *bytes.Reader }

func (d dribble) Read(p []byte) (int, error) {
	n, err := d.octets.Read(p)
	if err == io.EOF {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// TestClaimsTakeNoMemory: who says that much is to come, and does not send it, has no room kept for it.
func TestClaimsTakeNoMemory(t *testing.T) {
	for name, read := range map[string]func() error{
		"a message": func() error {
			_, _, err := readMessage(dribble{bytes.NewReader([]byte{0x10, 0, 0})}, make([]byte, bufferLen), nil)
			return err
		},
		"a header": func() error {
			_, err := readRequest(bufio.NewReaderSize(dribble{bytes.NewReader([]byte{frameHeaders, 0x7f, 0xff, 0})}, readerLen))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 100
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				if read() == nil {
					t.Fatal("it was read")
				}
			}
			runtime.ReadMemStats(&after)
			if per := (after.TotalAlloc - before.TotalAlloc) / runs; per > 3*readerLen {
				t.Errorf("%d octets each", per)
			}
		})
	}
}
