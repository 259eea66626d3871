package ccip

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// FuzzDecodeLookup holds for any revert data: what is taken is within the bounds, and go-ethereum's
// encoding of it decodes to the same.
func FuzzDecodeLookup(f *testing.F) {
	f.Add(offchain(common.Address{1}, []string{"https://gw.example/{sender}/{data}.json", batchGateway}, []byte("data"), "back", []byte("extra")).Data)
	f.Add(offchain(common.Address{}, nil, nil, "\x00\x00\x00\x00", nil).Data)
	f.Add([]byte{0x55, 0x6f, 0x18, 0x30})
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := decodeLookup(data)
		if err != nil {
			return
		}
		if len(l.urls) > maxURLs || len(l.data) > maxCallData || len(l.extra) > len(data) {
			t.Fatalf("over the bounds: %d URLs", len(l.urls))
		}
		again, err := decodeLookup(offchain(l.sender, l.urls, l.data, string(l.callback[:]), l.extra).Data)
		if err != nil || !same(again.request, l.request) || again.callback != l.callback || !bytes.Equal(again.extra, l.extra) {
			t.Fatalf("%+v became %+v, %v", l, again, err)
		}
	})
}

func same(a, b request) bool {
	return a.sender == b.sender && bytes.Equal(a.data, b.data) && (len(a.urls) == 0 && len(b.urls) == 0 || reflect.DeepEqual(a.urls, b.urls))
}

// FuzzDecodeBatch is FuzzDecodeLookup for a batch gateway's query.
func FuzzDecodeBatch(f *testing.F) {
	f.Add(query())
	f.Add(query(element{common.Address{1}, []string{"https://gw.example/"}, []byte("x")}, element{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		batch, err := decodeBatch(data)
		if err != nil {
			return
		}
		if len(batch) > maxBatch {
			t.Fatalf("%d look-ups", len(batch))
		}
		var elements []element
		for _, r := range batch {
			elements = append(elements, element{r.sender, r.urls, r.data})
		}
		again, err := decodeBatch(query(elements...))
		if err != nil || len(again) != len(batch) {
			t.Fatalf("%d became %d, %v", len(batch), len(again), err)
		}
		for i := range batch {
			if !same(batch[i], again[i]) {
				t.Fatalf("%+v became %+v", batch[i], again[i])
			}
		}
	})
}

// FuzzBody holds for any answer of a gateway: what is taken is JSON whose data is that hex text, and a
// refusal's message is one short line without URLs.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"data":"0x1234"}`, `{"data":"0x","x":[{}]}`, `{"data":null}`, `{"data":"0x12","data":"0x34"}`, `{"message":"see https://gw.example/KEY"}`, `{"message":"see http\u0001://gw.example/KEY"}`, `{"error":"x\n"}`, `{"d\u0061ta":"0x12"}`, "[[["} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e := newStatusError(404, body)
		if len(e.message) > 200 || strings.ContainsAny(e.message, "\n\r\x00") || strings.Contains(e.message, "://") && urls.MatchString(e.message) {
			t.Fatalf("message %q", e.message)
		}
		data, err := decodeBody(body)
		if err != nil {
			return
		}
		var want map[string]any
		if json.Unmarshal(body, &want) != nil {
			t.Fatalf("taken, but not JSON: %q", body)
		}
		if s, ok := want["data"].(string); !ok || !strings.EqualFold(s, "0x"+hex.EncodeToString(data)) {
			t.Fatalf("%q gave %x", body, data)
		}
	})
}

// FuzzEncode compares what goes to contracts with go-ethereum's decoding.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("response"), []byte("extra"), true)
	f.Add([]byte{}, make([]byte, 33), false)
	f.Fuzz(func(t *testing.T, a, b []byte, failed bool) {
		selector, response, extra := unpackCallback(t, encodeCallback([4]byte{'b', 'a', 'c', 'k'}, a, b))
		if selector != "back" || !bytes.Equal(response, a) || !bytes.Equal(extra, b) {
			t.Fatalf("callback: %q %q", response, extra)
		}
		failures, responses := unpackBatch(t, encodeBatch([]bool{failed, !failed}, [][]byte{a, b}))
		if failures[0] != failed || failures[1] == failed || !bytes.Equal(responses[0], a) || !bytes.Equal(responses[1], b) {
			t.Fatalf("batch: %v %q", failures, responses)
		}
		if _, err := (abi.Arguments{typ("uint16"), typ("string")}).Unpack(encodeFailure(newStatusError(500, a))[4:]); err != nil {
			t.Fatal(err)
		}
		if _, err := abi.UnpackRevert(encodeFailure(hostError("gw.example", errURL))); err != nil {
			t.Fatal(err)
		}
	})
}
