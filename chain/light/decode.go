package light

import (
	"encoding/json"
	"strconv"
)

// The answers of the beacon API (apis/beacon/light_client, with the containers of
// altair/light-client/sync-protocol.md and of the later forks' pages), as they come.
type (
	answerJSON struct {
		Version string     `json:"version"`
		Data    updateJSON `json:"data"`
	}
	updateJSON struct {
		Header          *headerJSON     `json:"header"` // bootstrap
		Current         *committeeJSON  `json:"current_sync_committee"`
		CurrentBranch   json.RawMessage `json:"current_sync_committee_branch"`
		Attested        *headerJSON     `json:"attested_header"`
		Next            *committeeJSON  `json:"next_sync_committee"`
		NextBranch      json.RawMessage `json:"next_sync_committee_branch"`
		Finalized       *headerJSON     `json:"finalized_header"`
		FinalizedBranch json.RawMessage `json:"finality_branch"`
		Aggregate       struct {
			Bits      string `json:"sync_committee_bits"`
			Signature string `json:"sync_committee_signature"`
		} `json:"sync_aggregate"`
		SignatureSlot string `json:"signature_slot"`
	}
	headerJSON struct {
		Beacon struct {
			Slot     string `json:"slot"`
			Proposer string `json:"proposer_index"`
			Parent   string `json:"parent_root"`
			State    string `json:"state_root"`
			Body     string `json:"body_root"`
		} `json:"beacon"`
		Execution *payloadJSON    `json:"execution"`
		BlockHash string          `json:"execution_block_hash"`
		Branch    json.RawMessage `json:"execution_branch"`
	}
	payloadJSON struct {
		Parent       string `json:"parent_hash"`
		FeeRecipient string `json:"fee_recipient"`
		State        string `json:"state_root"`
		Receipts     string `json:"receipts_root"`
		Bloom        string `json:"logs_bloom"`
		Randao       string `json:"prev_randao"`
		Number       string `json:"block_number"`
		GasLimit     string `json:"gas_limit"`
		GasUsed      string `json:"gas_used"`
		Time         string `json:"timestamp"`
		Extra        string `json:"extra_data"`
		BaseFee      string `json:"base_fee_per_gas"`
		Hash         string `json:"block_hash"`
		Transactions string `json:"transactions_root"`
		Withdrawals  string `json:"withdrawals_root"`
		BlobGas      string `json:"blob_gas_used"`
		ExcessGas    string `json:"excess_blob_gas"`
	}
	committeeJSON struct {
		Pubkeys   json.RawMessage `json:"pubkeys"`
		Aggregate string          `json:"aggregate_pubkey"`
	}
)

// DecodeBootstrap reads the answer of /eth/v1/beacon/light_client/bootstrap/{root}. Nothing of it is
// verified. It fails with ErrMalformed or ErrFork.
func DecodeBootstrap(n *Network, body []byte) (*Bootstrap, error) {
	var a answerJSON
	if err := n.open(body, &a); err != nil {
		return nil, err
	}
	f, err := formOf(a.Version)
	if err != nil {
		return nil, err
	}
	var r reader
	b := &Bootstrap{
		form:   f,
		header: r.header("header", a.Data.Header, f),
		keys:   r.committee("current_sync_committee", a.Data.Current, n.CommitteeSize),
		branch: r.branch("current_sync_committee_branch", a.Data.CurrentBranch, f.committee),
	}
	if r.err != nil {
		return nil, r.err
	}
	return b, nil
}

// DecodeUpdates reads the answer of /eth/v1/beacon/light_client/updates, of at most 128 updates. Nothing
// of them is verified. It fails with ErrMalformed or ErrFork.
func DecodeUpdates(n *Network, body []byte) ([]*Update, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	var raw json.RawMessage
	if err := unmarshal(body, maxBodies, &raw); err != nil {
		return nil, err
	}
	var r reader
	list, err := elements[answerJSON](raw, maxUpdates)
	if err != nil {
		r.fail("updates", "%w", err)
		return nil, r.err
	}
	updates := make([]*Update, len(list))
	for i := range list {
		if updates[i], err = decodeUpdate(n, &list[i], whole); err != nil {
			return nil, err
		}
	}
	return updates, nil
}

// DecodeFinalityUpdate reads the answer of /eth/v1/beacon/light_client/finality_update: an update without
// a next committee. Nothing of it is verified. It fails with ErrMalformed or ErrFork.
func DecodeFinalityUpdate(n *Network, body []byte) (*Update, error) {
	return decodeOne(n, body, finality)
}

// DecodeOptimisticUpdate reads the answer of /eth/v1/beacon/light_client/optimistic_update: an update
// without a next committee and without a finalised block. Nothing of it is verified. It fails with
// ErrMalformed or ErrFork.
func DecodeOptimisticUpdate(n *Network, body []byte) (*Update, error) {
	return decodeOne(n, body, optimistic)
}

// part says how much of an update is there.
type part int

const (
	optimistic part = iota
	finality
	whole
)

// open decodes a lone answer.
func (n *Network) open(body []byte, a *answerJSON) error {
	if err := n.check(); err != nil {
		return err
	}
	return unmarshal(body, maxBody, a)
}

func decodeOne(n *Network, body []byte, p part) (*Update, error) {
	var a answerJSON
	if err := n.open(body, &a); err != nil {
		return nil, err
	}
	return decodeUpdate(n, &a, p)
}

func decodeUpdate(n *Network, a *answerJSON, p part) (*Update, error) {
	f, err := formOf(a.Version)
	if err != nil {
		return nil, err
	}
	var r reader
	d := &a.Data
	u := &Update{
		form:          f,
		attested:      r.header("attested_header", d.Attested, f),
		bits:          make([]byte, n.CommitteeSize/8),
		signature:     make([]byte, signatureSize),
		signatureSlot: r.number("signature_slot", d.SignatureSlot),
	}
	r.bytes("sync_committee_bits", d.Aggregate.Bits, u.bits)
	r.bytes("sync_committee_signature", d.Aggregate.Signature, u.signature)
	// Some servers leave out what they have not, or write null, instead of zeros.
	if p >= finality && (d.Finalized != nil || given(d.FinalizedBranch)) {
		u.finalized = r.header("finalized_header", d.Finalized, f)
		u.finalityBranch = r.branch("finality_branch", d.FinalizedBranch, f.finality)
	}
	if p >= whole && (d.Next != nil || given(d.NextBranch)) {
		u.next = r.committee("next_sync_committee", d.Next, n.CommitteeSize)
		u.nextBranch = r.branch("next_sync_committee_branch", d.NextBranch, f.committee)
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := u.normalize(); err != nil {
		return nil, err
	}
	return u, nil
}

// given says whether there is a value other than null.
func given(raw json.RawMessage) bool { return raw != nil && string(raw) != "null" }

func (r *reader) header(path string, j *headerJSON, f form) (h header) {
	if j == nil {
		r.fail(path, "it is missing")
		return h
	}
	h.beacon = beaconHeader{
		slot:     r.number(path+".beacon.slot", j.Beacon.Slot),
		proposer: r.number(path+".beacon.proposer_index", j.Beacon.Proposer),
		parent:   r.hash(path+".beacon.parent_root", j.Beacon.Parent),
		state:    r.hash(path+".beacon.state_root", j.Beacon.State),
		body:     r.hash(path+".beacon.body_root", j.Beacon.Body),
	}
	if f.hashOnly {
		h.payload.hash = r.hash(path+".execution_block_hash", j.BlockHash)
	} else {
		h.payload = r.payload(path+".execution", j.Execution, f)
	}
	h.branch = r.branch(path+".execution_branch", j.Branch, f.execution)
	return h
}

func (r *reader) payload(path string, j *payloadJSON, f form) (p payloadHeader) {
	if j == nil {
		r.fail(path, "it is missing")
		return p
	}
	p = payloadHeader{
		parent:       r.hash(path+".parent_hash", j.Parent),
		state:        r.hash(path+".state_root", j.State),
		receipts:     r.hash(path+".receipts_root", j.Receipts),
		randao:       r.hash(path+".prev_randao", j.Randao),
		number:       r.number(path+".block_number", j.Number),
		gasLimit:     r.number(path+".gas_limit", j.GasLimit),
		gasUsed:      r.number(path+".gas_used", j.GasUsed),
		time:         r.number(path+".timestamp", j.Time),
		baseFee:      r.wide(path+".base_fee_per_gas", j.BaseFee),
		hash:         r.hash(path+".block_hash", j.Hash),
		transactions: r.hash(path+".transactions_root", j.Transactions),
		withdrawals:  r.hash(path+".withdrawals_root", j.Withdrawals),
	}
	r.bytes(path+".fee_recipient", j.FeeRecipient, p.feeRecipient[:])
	r.bytes(path+".logs_bloom", j.Bloom, p.bloom[:])
	p.extra, p.extraLen = r.extra(path+".extra_data", j.Extra)
	if f.blobs {
		p.blobGas = r.number(path+".blob_gas_used", j.BlobGas)
		p.excessGas = r.number(path+".excess_blob_gas", j.ExcessGas)
	}
	return p
}

func (r *reader) committee(path string, j *committeeJSON, size int) committeeKeys {
	if j == nil {
		r.fail(path, "it is missing")
		return nil
	}
	list, err := elements[string](j.Pubkeys, size)
	if err != nil {
		r.fail(path+".pubkeys", "%w", err)
		return nil
	}
	if len(list) != size {
		r.fail(path+".pubkeys", "found %d keys, expected %d", len(list), size)
		return nil
	}
	keys := make(committeeKeys, (size+1)*pubkeySize)
	for i, s := range list {
		r.bytes(path+".pubkeys["+strconv.Itoa(i)+"]", s, keys.key(i))
	}
	r.bytes(path+".aggregate_pubkey", j.Aggregate, keys.key(size))
	return keys
}
