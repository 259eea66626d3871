package stream

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"dens/server/intake"
)

// TestNoOctetsOfOthers: what clients ask and get never mixes, though they share buffers: each asks for names that no
// other has, at once and later, short and long, in pieces, and has to get exactly these back, once each.
func TestNoOctetsOfOthers(t *testing.T) {
	each(t, intake.Limits{MaxPipeline: 7}, func(t *testing.T, s *served, client *tls.Config) {
		var group sync.WaitGroup
		for i := range 12 {
			conn := s.dial(t, client)
			group.Go(func() {
				chance := rand.New(rand.NewPCG(uint64(i), 1))
				for range 4 {
					if err := askOwn(conn, chance, i); err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
				}
			})
		}
		group.Wait()
	})
}

// askOwn sends a burst of questions for a client's own names, in pieces, and compares the replies.
func askOwn(conn net.Conn, chance *rand.Rand, client int) error {
	const many = 40
	want := make(map[uint16][]byte)
	var sent []byte
	for i := range many {
		// The upper octet is how long a miss takes, the bits are those of echo.
		id := uint16(chance.IntN(256))<<8 | uint16(i&0x0e|(i&0x30)<<2) | uint16(chance.IntN(2))*bitMiss
		if chance.IntN(4) == 0 {
			id |= bitLong
		}
		if want[id] != nil {
			continue
		}
		msg := ownQuestion(id, client, chance)
		want[id] = appendEcho(nil, msg)
		sent = append(sent, framed(msg)...)
	}
	failed := make(chan error, 1)
	go func() {
		for len(sent) > 0 {
			n := 1 + chance.IntN(min(len(sent), 3000))
			if _, err := conn.Write(sent[:n]); err != nil {
				failed <- err
				return
			}
			sent = sent[n:]
			time.Sleep(time.Duration(chance.IntN(300)) * time.Microsecond)
		}
		failed <- nil
	}()
	for range len(want) {
		got, err := readOne(conn)
		if err != nil {
			return err
		}
		id := binary.BigEndian.Uint16(got)
		if !bytes.Equal(got, want[id]) {
			return fmt.Errorf("the reply to %#x is not its own: %.80q", id, got)
		}
		delete(want, id)
	}
	return <-failed
}

// ownQuestion is a request that shows in every octet behind the header whose it is. Some are large.
func ownQuestion(id uint16, client int, chance *rand.Rand) []byte {
	size := 20 + chance.IntN(200)
	if chance.IntN(20) == 0 {
		size = intake.MaxSmall + chance.IntN(2000)
	}
	msg := append(message(id)[:12], bytes.Repeat([]byte{byte(0x80 | client)}, size)...)
	return append(msg, message(id)[:2]...)
}

func readOne(conn net.Conn) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(conn, msg); err != nil {
		return nil, err
	}
	if len(msg) < 12 {
		return nil, fmt.Errorf("a reply of %d octets", len(msg))
	}
	return msg, nil
}
