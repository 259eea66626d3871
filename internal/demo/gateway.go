package demo

import (
	"crypto/ecdsa"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

const (
	maxGatewayBody = 64 << 10        // bytes of a request
	signatureLife  = 5 * time.Minute // of what the gateway says
)

// gateway is a CCIP-Read gateway (EIP-3668) that knows the records of some names and signs them for the
// OffchainResolver.
type gateway struct {
	records map[string]offchainName // by dotted name
	rrsets  map[rrsetKey][]byte     // in wire form, by owner and type
	key     *ecdsa.PrivateKey
	server  *http.Server
	url     string // a template with {sender} and {data}
	loopURL string // the same for the GarbageResolver's Loop: it always has an answer
	done    chan struct{}
}

// offchainName is what the gateway knows of one name.
type offchainName struct {
	addr        common.Address
	texts       map[string]string
	contenthash []byte
	rrs         []string // in presentation form; of this owner only
}

type rrsetKey struct {
	owner  common.Hash
	rrtype uint16
}

// errNoRecord means that the gateway does not serve what it was asked for.
var errNoRecord = errors.New("no such record")

// startGateway serves records on 127.0.0.1. They must not be changed afterwards.
func startGateway(key *ecdsa.PrivateKey, records map[string]offchainName) (*gateway, error) {
	g := &gateway{records: records, rrsets: map[rrsetKey][]byte{}, key: key, done: make(chan struct{})}
	for _, record := range records {
		if err := g.addRRs(record.rrs); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("tcp", loopback(0))
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.url = fmt.Sprintf("http://%s/{sender}/{data}.json", listener.Addr())
	g.loopURL = fmt.Sprintf("http://%s/loop/{sender}/{data}.json", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /loop/{sender}/{data}", again)
	mux.HandleFunc("GET /{sender}/{data}", g.get)
	mux.HandleFunc("POST /", g.post)
	g.server = &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: maxGatewayBody}
	go func() {
		defer close(g.done)
		_ = g.server.Serve(listener) // it always ends with an error: that of Close
	}()
	return g, nil
}

func (g *gateway) addRRs(rrs []string) error {
	for _, text := range rrs {
		rr, wire, err := parseRR(text)
		if err != nil {
			return err
		}
		owner, err := ownerHash(rr.Header().Name)
		if err != nil {
			return err
		}
		key := rrsetKey{owner, rr.Header().Rrtype}
		g.rrsets[key] = append(g.rrsets[key], wire...)
	}
	return nil
}

// close ends requests under way: a Shutdown would wait for connections on which nothing was asked yet.
func (g *gateway) close() error {
	err := g.server.Close()
	<-g.done
	return err
}

func (g *gateway) get(w http.ResponseWriter, r *http.Request) {
	g.reply(w, r.PathValue("sender"), strings.TrimSuffix(r.PathValue("data"), ".json"))
}

func (g *gateway) post(w http.ResponseWriter, r *http.Request) {
	var body struct{ Sender, Data string }
	if err := json.NewDecoder(io.LimitReader(r.Body, maxGatewayBody)).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, errors.New("body is not JSON"))
		return
	}
	g.reply(w, body.Sender, body.Data)
}

// again answers whatever it is asked for, so that who asks goes on asking.
func again(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"data": "0xa6a1"})
}

func (g *gateway) reply(w http.ResponseWriter, sender, data string) {
	request, err := hexutil.Decode(data)
	if err != nil || !common.IsHexAddress(sender) {
		refuse(w, http.StatusBadRequest, errors.New("sender or data is not hexadecimal"))
		return
	}
	response, err := g.answer(common.HexToAddress(sender), request)
	switch {
	case errors.Is(err, errNoRecord):
		refuse(w, http.StatusNotFound, err)
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
	default:
		writeJSON(w, http.StatusOK, map[string]string{"data": hexutil.Encode(response)})
	}
}

func refuse(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"message": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nobody to tell
}

// answer makes the signed response to a request: resolve(name, data).
func (g *gateway) answer(sender common.Address, request []byte) ([]byte, error) {
	args, err := unpackArguments(OffchainResolver, "resolve(bytes,bytes)", request)
	if err != nil {
		return nil, err
	}
	result, err := g.resolve(args[0].([]byte), args[1].([]byte))
	if err != nil {
		return nil, err
	}
	expires := uint64(time.Now().Add(signatureLife).Unix())
	signature, err := crypto.Sign(digest(sender, expires, request, result), g.key)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	signature[64] += 27 // the form that ecrecover takes
	return signedResponse(result, expires, signature)
}

// digest is what the gateway signs (as in ENS's offchain-resolver, after EIP-191 version 0).
func digest(sender common.Address, expires uint64, request, result []byte) []byte {
	message := append([]byte{0x19, 0x00}, sender[:]...)
	message = binary.BigEndian.AppendUint64(message, expires)
	message = append(message, crypto.Keccak256(request)...)
	return crypto.Keccak256(append(message, crypto.Keccak256(result)...))
}

// resolve answers one call to a resolver's profile. A name without records has empty ones.
func (g *gateway) resolve(wire, call []byte) ([]byte, error) {
	name, err := dottedName(wire)
	if err != nil {
		return nil, err
	}
	record := g.records[name]
	signature, args, err := profileOf(call)
	if err != nil {
		return nil, err
	}
	switch signature {
	case "addr(bytes32)":
		return packOutput(signature, record.addr)
	case "addr(bytes32,uint256)":
		return packOutput(signature, addressOf(record.addr, args[1]))
	case "contenthash(bytes32)":
		return packOutput(signature, record.contenthash)
	case "text(bytes32,string)":
		return packOutput(signature, record.texts[args[1].(string)])
	case "dnsRecord(bytes32,bytes32,uint16)":
		return packOutput(signature, g.rrsets[rrsetKey{args[1].([32]byte), args[2].(uint16)}])
	case "hasDNSRecords(bytes32,bytes32)":
		return packOutput(signature, g.hasOwner(args[1].([32]byte)))
	}
	return nil, errNoRecord
}

func (g *gateway) hasOwner(owner common.Hash) bool {
	for key := range g.rrsets {
		if key.owner == owner {
			return true
		}
	}
	return false
}
