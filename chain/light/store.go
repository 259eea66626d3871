package light

import (
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Store is what is proven. It is not for concurrent use.
type Store struct{}

// Head is a proven block.
type Head struct {
	Slot          uint64
	Root          common.Hash // of the beacon block
	BlockHash     common.Hash // of the execution block
	BlockNumber   uint64      // zero from Gloas on, where only the hash is proven
	BlockTime     time.Time   // zero from Gloas on
	SignatureSlot uint64
	Signers       int
	Committee     int    // size of the committee that signed
	Period        uint64 // of the committee that signed
	Fork          string // at Slot, in lower case
	Parent        bool   // Gloas: BlockHash is that of the parent's payload
}

// NewStore begins with the block whose root is checkpoint.
func NewStore(n *Network, checkpoint common.Hash, b *Bootstrap) (*Store, error) {
	return nil, ErrCheckpoint
}

// Apply verifies u wholly and then takes over what it proves. advanced is false when u is valid but brings
// nothing new.
func (s *Store) Apply(u *Update, now time.Time) (advanced bool, err error) {
	return false, ErrMalformed
}

// Optimistic is the newest block that a supermajority signed.
func (s *Store) Optimistic() Head { return Head{} }

// Finalized is the newest finalised block that is proven: at least the bootstrap's.
func (s *Store) Finalized() Head { return Head{} }

// Checkpoint is the block that the store began with.
func (s *Store) Checkpoint() (root common.Hash, slot uint64) { return common.Hash{}, 0 }

// Period is that of the committee in force.
func (s *Store) Period() uint64 { return 0 }

// Missing returns the periods whose updates are needed to follow the chain at now; count 0 is none.
func (s *Store) Missing(now time.Time) (start, count uint64) { return 0, 0 }

// MarshalBinary writes the store for UnmarshalStore.
func (s *Store) MarshalBinary() ([]byte, error) { return nil, ErrState }

// UnmarshalStore reads what MarshalBinary wrote, for the same network.
func UnmarshalStore(n *Network, data []byte) (*Store, error) { return nil, ErrState }
