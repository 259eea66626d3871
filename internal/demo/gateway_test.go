package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

func TestGatewayTransports(t *testing.T) {
	w := reading(t)
	sender := w.OffchainResolver.Hex()
	call := w.pack(Resolver, "addr(bytes32)", Namehash("offchain.eth"))
	good := hexutil.Encode(w.pack(OffchainResolver, "resolve(bytes,bytes)", w.wire("offchain.eth"), call))
	noProfile := hexutil.Encode(w.pack(OffchainResolver, "resolve(bytes,bytes)", w.wire("offchain.eth"), []byte{1, 2, 3, 4}))
	badName := hexutil.Encode(w.pack(OffchainResolver, "resolve(bytes,bytes)", []byte{9}, call))
	tests := []struct {
		story, sender, data string
		status              int
	}{
		{"whole", sender, good, 200},
		{"profile it has not", sender, noProfile, 404},
		{"no call inside", sender, good[:10], 400},
		{"no name", sender, badName, 400},
		{"not hexadecimal", sender, "0xzz", 400},
		{"no address", "0x12", good, 400},
	}
	for _, tt := range tests {
		url := strings.NewReplacer("{sender}", tt.sender, "{data}", tt.data).Replace(w.GatewayURL)
		response, err := http.Get(url)
		checkGateway(t, "GET "+tt.story, response, err, tt.status)
		body, err := json.Marshal(map[string]string{"sender": tt.sender, "data": tt.data})
		if err != nil {
			t.Fatal(err)
		}
		base, _, _ := strings.Cut(w.GatewayURL, "/{")
		response, err = http.Post(base, "application/json", bytes.NewReader(body))
		checkGateway(t, "POST "+tt.story, response, err, tt.status)
	}
	base, _, _ := strings.Cut(w.GatewayURL, "/{")
	for story, body := range map[string]string{"not JSON": "{", "too long": `{"data":"` + strings.Repeat("0", 2*maxGatewayBody)} {
		response, err := http.Post(base, "application/json", strings.NewReader(body))
		checkGateway(t, story, response, err, 400)
	}
}

func checkGateway(t *testing.T, story string, response *http.Response, err error, status int) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", story, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: status %d, %s, %v", story, response.StatusCode, body, err)
	}
	var reply struct{ Data, Message string }
	if err := json.Unmarshal(body, &reply); err != nil || (status == 200) != (reply.Data != "") || (status == 200) == (reply.Message != "") {
		t.Errorf("%s: %s, %v", story, body, err)
	}
}

func TestGatewayProfiles(t *testing.T) {
	w := reading(t)
	node := Namehash("anna.offchain.eth")
	owner, err := ownerHash("anna.offchain.eth")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		signature string
		args      []any
		want      string
	}{
		{"addr(bytes32,uint256)", []any{node, big.NewInt(60)}, string(account("anna").Bytes())},
		{"addr(bytes32,uint256)", []any{node, big.NewInt(0)}, ""},
		{"dnsRecord(bytes32,bytes32,uint16)", []any{node, owner, uint16(1)}, "\x04anna\x08offchain\x03eth\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x3d"},
		{"dnsRecord(bytes32,bytes32,uint16)", []any{node, owner, uint16(28)}, ""},
	}
	for _, tt := range tests {
		result, _, reverted := w.resolve("anna.offchain.eth", w.pack(Resolver, tt.signature, tt.args...))
		want, err := packOutput(tt.signature, []byte(tt.want))
		if err != nil || !bytes.Equal(result, want) {
			t.Errorf("%s: %x, reverted with %x", tt.signature, result, reverted)
		}
	}
	for _, has := range []bool{true, false} {
		if !has {
			owner[0] ^= 1
		}
		result, _, _ := w.resolve("anna.offchain.eth", w.pack(Resolver, "hasDNSRecords(bytes32,bytes32)", node, owner))
		if want, err := packOutput("hasDNSRecords(bytes32,bytes32)", has); err != nil || !bytes.Equal(result, want) {
			t.Errorf("hasDNSRecords: %x, want %v", result, has)
		}
	}
}

// FuzzGatewayAnswer gives the gateway any request. Property: it answers with a signed response of the
// form that the contract takes, or with an error.
func FuzzGatewayAnswer(f *testing.F) {
	key, err := wordKey("fuzz")
	if err != nil {
		f.Fatal(err)
	}
	g := &gateway{records: offchainNames(), rrsets: map[rrsetKey][]byte{}, key: key}
	for _, signature := range []string{"addr(bytes32)", "contenthash(bytes32)", "name(bytes32)"} {
		call, err := Pack(Resolver, signature, Namehash("offchain.eth"))
		if err != nil {
			f.Fatal(err)
		}
		wire, err := WireName("offchain.eth")
		if err != nil {
			f.Fatal(err)
		}
		request, err := Pack(OffchainResolver, "resolve(bytes,bytes)", wire, call)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(request)
		f.Add(request[:len(request)-32])
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		response, err := g.answer(account("fuzz"), request)
		if err != nil {
			return
		}
		m, err := method(OffchainResolver, "resolve(bytes,bytes)")
		if err != nil || !bytes.HasPrefix(request, m.ID) {
			t.Fatalf("answered %x", request)
		}
		// bytes result at 0x60, uint64 expires, bytes signature: the signature's 65 bytes end the response.
		if len(response)%32 != 0 || len(response) < 7*32 {
			t.Fatalf("response has %d bytes", len(response))
		}
		size := new(big.Int).SetBytes(response[96:128]).Int64()
		expires := new(big.Int).SetBytes(response[32:64]).Uint64()
		signature := bytes.Clone(response[len(response)-96 : len(response)-31])
		signature[64] -= 27
		signer, err := crypto.SigToPub(digest(account("fuzz"), expires, request, response[128:128+size]), signature)
		if err != nil || crypto.PubkeyToAddress(*signer) != crypto.PubkeyToAddress(key.PublicKey) {
			t.Errorf("signature of %x: %v", request, err)
		}
	})
}
