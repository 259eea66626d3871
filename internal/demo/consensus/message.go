package consensus

import (
	"encoding/json"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// The messages of the beacon API (beacon-APIs, apis/beacon/light_client). Numbers are text.

type versioned struct {
	Version string `json:"version"`
	Data    any    `json:"data"`
}

type headerMessage struct {
	Slot     string      `json:"slot"`
	Proposer string      `json:"proposer_index"`
	Parent   common.Hash `json:"parent_root"`
	State    common.Hash `json:"state_root"`
	Body     common.Hash `json:"body_root"`
}

func (h beaconHeader) message() headerMessage {
	return headerMessage{decimal(h.slot), decimal(h.proposer), h.parent, h.state, h.body}
}

type executionMessage struct {
	ParentHash   common.Hash   `json:"parent_hash"`
	FeeRecipient hexutil.Bytes `json:"fee_recipient"`
	StateRoot    common.Hash   `json:"state_root"`
	ReceiptsRoot common.Hash   `json:"receipts_root"`
	LogsBloom    hexutil.Bytes `json:"logs_bloom"`
	PrevRandao   common.Hash   `json:"prev_randao"`
	BlockNumber  string        `json:"block_number"`
	GasLimit     string        `json:"gas_limit"`
	GasUsed      string        `json:"gas_used"`
	Timestamp    string        `json:"timestamp"`
	ExtraData    hexutil.Bytes `json:"extra_data"`
	BaseFee      string        `json:"base_fee_per_gas"`
	BlockHash    common.Hash   `json:"block_hash"`
	Transactions common.Hash   `json:"transactions_root"`
	Withdrawals  common.Hash   `json:"withdrawals_root"`
	BlobGas      *string       `json:"blob_gas_used,omitempty"`   // from Deneb on
	ExcessBlob   *string       `json:"excess_blob_gas,omitempty"` // from Deneb on
}

type lightHeader struct {
	Beacon    headerMessage     `json:"beacon"`
	Execution *executionMessage `json:"execution,omitempty"`            // until Fulu
	Hash      *common.Hash      `json:"execution_block_hash,omitempty"` // from Gloas on
	Branch    []common.Hash     `json:"execution_branch"`
}

type committeeMessage struct {
	Keys      []hexutil.Bytes `json:"pubkeys"`
	Aggregate hexutil.Bytes   `json:"aggregate_pubkey"`
}

type aggregateMessage struct {
	Bits      hexutil.Bytes `json:"sync_committee_bits"`
	Signature hexutil.Bytes `json:"sync_committee_signature"`
}

type bootstrapMessage struct {
	Header    lightHeader      `json:"header"`
	Committee committeeMessage `json:"current_sync_committee"`
	Branch    []common.Hash    `json:"current_sync_committee_branch"`
}

// updateMessage is a full update, or without a committee a finality update, and without a finalised header
// an optimistic one.
type updateMessage struct {
	Attested   lightHeader       `json:"attested_header"`
	Next       *committeeMessage `json:"next_sync_committee,omitempty"`
	NextBranch []common.Hash     `json:"next_sync_committee_branch,omitempty"`
	Finalized  *lightHeader      `json:"finalized_header,omitempty"`
	Finality   []common.Hash     `json:"finality_branch,omitempty"`
	Aggregate  aggregateMessage  `json:"sync_aggregate"`
	Slot       string            `json:"signature_slot"`
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func (c *Committee) message() committeeMessage {
	m := committeeMessage{Keys: make([]hexutil.Bytes, CommitteeSize), Aggregate: c.aggregate[:]}
	for i := range m.Keys {
		m.Keys[i] = c.keys[i][:]
	}
	return m
}

// light is the block's LightClientHeader in the format of its own fork or a later one.
func (b *block) light(format *fork) lightHeader {
	h := lightHeader{Beacon: b.header.message()}
	if format.gloas() {
		// gloas/light-client/fork.md, upgrade_lc_header_to_gloas
		h.Hash = &b.execution.hash
		h.Branch = normalize(b.body.branch(b.fork.hash), format.hash)
		return h
	}
	execution := b.execution.message()
	if format.fields > 16 {
		var used, excess uint64 // zero for a block of Capella
		if b.fork.fields > 16 {
			used, excess = b.execution.blobGas()
		}
		usedText, excessText := decimal(used), decimal(excess)
		execution.BlobGas, execution.ExcessBlob = &usedText, &excessText
	}
	h.Execution = &execution
	h.Branch = b.body.branch(payloadIndex)
	return h
}

func (p payload) message() executionMessage {
	return executionMessage{
		ParentHash: p.ParentHash, FeeRecipient: p.Coinbase[:], StateRoot: p.Root, ReceiptsRoot: p.ReceiptHash,
		LogsBloom: p.Bloom[:], PrevRandao: p.MixDigest, BlockNumber: p.Number.String(), GasLimit: decimal(p.GasLimit),
		GasUsed: decimal(p.GasUsed), Timestamp: decimal(p.Time), ExtraData: p.Extra, BaseFee: p.baseFee().String(),
		BlockHash: p.hash, Transactions: p.transactions(), Withdrawals: p.withdrawals(),
	}
}

func (b *block) bootstrap() versioned {
	return versioned{b.fork.name, bootstrapMessage{
		Header: b.light(b.fork), Committee: b.current.message(), Branch: b.state.branch(b.fork.current),
	}}
}

// optimistic is the block's LightClientOptimisticUpdate. The version of all updates is that of the
// attested block's fork.
func (s *signed) optimistic() versioned { return versioned{s.fork.name, s.attested()} }

func (s *signed) finality() versioned {
	m := s.attested()
	s.finalize(&m)
	return versioned{s.fork.name, m}
}

func (s *signed) handover() versioned {
	m := s.attested()
	s.finalize(&m)
	next := s.next.message()
	m.Next, m.NextBranch = &next, s.state.branch(s.fork.next)
	return versioned{s.fork.name, m}
}

func (s *signed) attested() updateMessage {
	return updateMessage{
		Attested:  s.light(s.fork),
		Aggregate: aggregateMessage{s.aggregate.bits[:], s.aggregate.signature[:]},
		Slot:      decimal(s.slot),
	}
}

func (s *signed) finalize(m *updateMessage) {
	finalized := s.finalized.light(s.fork)
	m.Finalized, m.Finality = &finalized, s.state.branch(s.fork.finalized)
}

// encode is JSON of a message above, which has no part that could fail.
func encode(message any) []byte {
	body, err := json.Marshal(message)
	if err != nil {
		panic("consensus: " + err.Error())
	}
	return body
}
