package light

// Bootstrap is the block to begin with, and its sync committee (LightClientBootstrap).
type Bootstrap struct{}

// Update is a header that a sync committee signed, with what it proves (LightClientUpdate; a finality
// update has no next committee, an optimistic update no finality either).
type Update struct{}

// DecodeBootstrap reads the answer of /eth/v1/beacon/light_client/bootstrap/{root}.
func DecodeBootstrap(n *Network, body []byte) (*Bootstrap, error) { return nil, ErrMalformed }

// DecodeUpdates reads the answer of /eth/v1/beacon/light_client/updates, of at most 128 updates.
func DecodeUpdates(n *Network, body []byte) ([]*Update, error) { return nil, ErrMalformed }

// DecodeFinalityUpdate reads the answer of /eth/v1/beacon/light_client/finality_update.
func DecodeFinalityUpdate(n *Network, body []byte) (*Update, error) { return nil, ErrMalformed }

// DecodeOptimisticUpdate reads the answer of /eth/v1/beacon/light_client/optimistic_update.
func DecodeOptimisticUpdate(n *Network, body []byte) (*Update, error) { return nil, ErrMalformed }
