// Package proof checks what a block's hash proves: its header, and by the header's state root accounts
// and storage slots (Merkle-Patricia proofs, EIP-1186). It is pure.
package proof
