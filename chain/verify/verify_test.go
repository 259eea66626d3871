package verify

import (
	"bytes"
	"testing"

	"dens/chain"
)

func TestCallIsProven(t *testing.T) {
	b := newBackend(t, nil)
	v := newVerifier(t, newPool(t, b))
	m := text(t, "wallet.eth", "url")
	want, _ := truth(t, m, newest(t.Context()).Hash)
	r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Outputs[0]; !bytes.Equal(got.Data, want) || got.Reverted || got.Err != nil || len(want) < 64 {
		t.Errorf("got %+v, want %x", got, want)
	}
	if r.Trust != chain.Proven || r.Proof == nil || r.Proof.Trips != 2 || r.Proof.Bytes == 0 || len(r.Proof.Accounts) < 3 {
		t.Errorf("got %+v, %+v", r, r.Proof)
	}
	if r.Proof.StateRoot == ([32]byte{}) || r.Head != newest(t.Context()) || len(r.Backends) != 1 || r.Backends[0] != "a" {
		t.Errorf("got %+v", r)
	}
	t.Logf("%+v, %v", r.Proof, b.seen)
}
