package light

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestDecodeErrors has answers that are not of the right form, and what is said of them.
func TestDecodeErrors(t *testing.T) {
	w := newWorld(small())
	long := func(n int) string { return "0x" + strings.Repeat("a", n) }
	tests := []struct {
		name   string
		change func(data map[string]any)
		want   string
	}{
		{"no header", func(d map[string]any) { delete(d, "attested_header") }, "attested_header: it is missing"},
		{"null header", set(nil, "attested_header"), "attested_header: it is missing"},
		{"no slot", func(d map[string]any) { delete(field(d, "attested_header", "beacon"), "slot") }, `attested_header.beacon.slot: found "", expected a decimal number`},
		{"negative slot", set("-1", "attested_header", "beacon", "slot"), `found "-1"`},
		{"slot with sign", set("+1", "attested_header", "beacon", "slot"), `found "+1"`},
		{"slot in hex", set("0x10", "attested_header", "beacon", "slot"), `found "0x10"`},
		{"slot of 2^64", set("18446744073709551616", "attested_header", "beacon", "slot"), "attested_header.beacon.slot"},
		{"slot unquoted", set(5, "attested_header", "beacon", "slot"), "cannot unmarshal number"},
		{"short root", set(long(62), "attested_header", "beacon", "state_root"), "of 64 characters, expected 0x and 64 hex digits"},
		{"long root", set(long(66), "attested_header", "beacon", "body_root"), "attested_header.beacon.body_root"},
		{"root without 0x", set(strings.Repeat("a", 66), "attested_header", "beacon", "parent_root"), "attested_header.beacon.parent_root"},
		{"root not in hex", set("0x"+strings.Repeat("g", 64), "attested_header", "beacon", "parent_root"), "attested_header.beacon.parent_root"},
		{"no execution", func(d map[string]any) { delete(field(d, "attested_header"), "execution") }, "attested_header.execution: it is missing"},
		{"short bloom", set(long(510), "attested_header", "execution", "logs_bloom"), "expected 0x and 512 hex digits"},
		{"long recipient", set(long(42), "attested_header", "execution", "fee_recipient"), "fee_recipient"},
		{"long extra data", set(long(66), "attested_header", "execution", "extra_data"), "at most 32 bytes"},
		{"odd extra data", set(long(3), "attested_header", "execution", "extra_data"), "extra_data"},
		{"no extra data", set("", "attested_header", "execution", "extra_data"), "extra_data"},
		{"base fee of 2^256", set("115792089237316195423570985008687907853269984665640564039457584007913129639936", "attested_header", "execution", "base_fee_per_gas"), "below 2^256"},
		{"endless base fee", set(strings.Repeat("9", 100_000), "attested_header", "execution", "base_fee_per_gas"), "below 2^256"},
		{"negative base fee", set("-5", "attested_header", "execution", "base_fee_per_gas"), "below 2^256"},
		{"no blob gas", func(d map[string]any) { delete(field(d, "attested_header", "execution"), "blob_gas_used") }, "blob_gas_used"},
		{"no branch", func(d map[string]any) { delete(field(d, "attested_header"), "execution_branch") }, "execution_branch: found \"\", expected an array"},
		{"branch that is an object", set(map[string]any{}, "attested_header", "execution_branch"), "expected an array"},
		{"short branch", set(lengthened(nil, 3), "attested_header", "execution_branch"), "found 3 elements, expected 4"},
		{"long branch", set(lengthened(nil, 5), "attested_header", "execution_branch"), "found more than 4 elements"},
		{"branch of numbers", set([]any{1, 2, 3, 4}, "attested_header", "execution_branch"), "element 0"},
		{"branch of short hashes", set([]any{"0x", "0x", "0x", "0x"}, "attested_header", "execution_branch"), "execution_branch[0]"},
		{"short finality branch", set(lengthened(nil, 5), "finality_branch"), "found 5 elements, expected 6"},
		{"finalised block without branch", func(d map[string]any) { delete(d, "finality_branch") }, "finality_branch"},
		{"branch without finalised block", func(d map[string]any) { delete(d, "finalized_header") }, "finalized_header: it is missing"},
		{"committee of 31", func(d map[string]any) {
			team := field(d, "next_sync_committee")
			team["pubkeys"] = team["pubkeys"].([]any)[1:]
		}, "found 31 keys, expected 32"},
		{"committee of 33", func(d map[string]any) {
			team := field(d, "next_sync_committee")
			team["pubkeys"] = append([]any{team["pubkeys"].([]any)[0]}, team["pubkeys"].([]any)...)
		}, "found more than 32 elements"},
		{"short key", func(d map[string]any) { field(d, "next_sync_committee")["pubkeys"].([]any)[8] = long(94) }, "pubkeys[8]"},
		{"no aggregate", func(d map[string]any) { delete(field(d, "next_sync_committee"), "aggregate_pubkey") }, "aggregate_pubkey"},
		{"committee without branch", func(d map[string]any) { delete(d, "next_sync_committee_branch") }, "next_sync_committee_branch"},
		{"bits of 31", set(long(6), "sync_aggregate", "sync_committee_bits"), "sync_committee_bits"},
		{"bits of 40", set(long(10), "sync_aggregate", "sync_committee_bits"), "expected 0x and 8 hex digits"},
		{"short signature", set(long(190), "sync_aggregate", "sync_committee_signature"), "sync_committee_signature"},
		{"no aggregate at all", func(d map[string]any) { delete(d, "sync_aggregate") }, "sync_committee_bits"},
		{"no signature slot", func(d map[string]any) { delete(d, "signature_slot") }, "signature_slot"},
		{"deep", set(deep(20), "note"), "nested deeper than 16"},
	}
	for _, test := range tests {
		m := w.update(90)
		m.change = test.change
		_, err := DecodeUpdates(w.n, encode(t, []any{m.answer()}))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 400 {
			t.Errorf("%s: %v, expected %s", test.name, err, test.want)
		}
	}
}

// TestKeysTwice: JSON with a key twice, or in other letters, is read in one way, and that way is verified.
func TestKeysTwice(t *testing.T) {
	w := newWorld(small())
	m := w.update(50)
	m.next = nil
	honest := string(encode(t, m.answer()))
	o, forged := w.block(50).blockHash.Hex(), filler(9, 9).Hex()
	at := func(key, value string) string { return `"` + key + `":"` + value + `"` }
	tests := map[string]struct {
		body string
		want error
	}{
		"forged last":           {strings.Replace(honest, at("block_hash", o), at("block_hash", o)+","+at("block_hash", forged), 1), ErrProof},
		"forged first":          {strings.Replace(honest, at("block_hash", o), at("block_hash", forged)+","+at("block_hash", o), 1), nil},
		"forged in capitals":    {strings.Replace(honest, at("block_hash", o), at("block_hash", o)+","+at("Block_Hash", forged), 1), ErrProof},
		"by a Kelvin sign":      {strings.Replace(honest, at("block_hash", o), at("block_hash", o)+","+at("bloc\u212a_hash", forged), 1), ErrProof},
		"another signed header": {strings.Replace(honest, `"attested_header":{`, `"attested_header":`+string(encode(t, w.block(51).json("capella")))+`,"attested_header":{`, 1), nil},
		"a header after it":     {strings.TrimSuffix(honest, "}") + `,"data":{"attested_header":` + string(encode(t, w.block(51).json("capella"))) + `}}`, ErrMalformed},
		"more signers after it": {strings.TrimSuffix(honest, "}") + `,"DATA":{"sync_aggregate":{"sync_committee_bits":"0xffffff00"}}}`, ErrSignature},
	}
	for name, test := range tests {
		s := w.store(t, 16)
		if test.body == honest {
			t.Fatalf("%s: nothing has changed", name)
		}
		u, err := DecodeFinalityUpdate(w.n, []byte(test.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := s.Apply(u, w.at(51)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, expected %v", name, err, test.want)
		}
		if test.want == nil {
			checkHead(t, name, s.Optimistic(), w.block(50))
		}
	}
}

func deep(depth int) any {
	if depth == 0 {
		return "at last"
	}
	return []any{deep(depth - 1)}
}

func TestDecodeVersions(t *testing.T) {
	w := newWorld(small())
	for version, want := range map[string]error{"": ErrMalformed, "phase0": ErrFork, "altair": ErrFork, "bellatrix": ErrFork, "heze": ErrFork, "Deneb": ErrFork, "deneb": nil} {
		update, bootstrap := w.update(90).answer(), w.bootstrapAnswer(90, "deneb")
		update["version"], bootstrap["version"] = version, version
		_, first := DecodeBootstrap(w.n, encode(t, bootstrap))
		_, second := DecodeUpdates(w.n, encode(t, []any{update}))
		_, third := DecodeFinalityUpdate(w.n, encode(t, update))
		_, fourth := DecodeOptimisticUpdate(w.n, encode(t, update))
		for _, err := range []error{first, second, third, fourth} {
			if !errors.Is(err, want) {
				t.Errorf("%q: %v, expected %v", version, err, want)
			}
		}
	}
}

// TestDecodeParts shows what each path takes from an answer, and what it may leave out.
func TestDecodeParts(t *testing.T) {
	w := newWorld(small())
	m := w.update(90)
	if u := m.whole(t); u.next == nil || u.finalityBranch == nil || u.Slot() != 90 || u.SignatureSlot() != 91 {
		t.Errorf("update: %+v", u)
	}
	if slot, ok := m.finality(t).FinalizedSlot(); slot != 72 || !ok || m.finality(t).next != nil {
		t.Errorf("finality update: %d, %v", slot, ok)
	}
	if slot, ok := m.optimistic(t).FinalizedSlot(); slot != 0 || ok {
		t.Errorf("optimistic update: %d, %v", slot, ok)
	}
	for _, leaveOut := range []func(map[string]any, string){
		func(data map[string]any, name string) { delete(data, name) },
		func(data map[string]any, name string) { data[name] = nil },
	} {
		m.change = func(data map[string]any) {
			for _, name := range []string{"finalized_header", "finality_branch", "next_sync_committee", "next_sync_committee_branch"} {
				leaveOut(data, name)
			}
		}
		if u := m.whole(t); u.next != nil || u.finalityBranch != nil {
			t.Errorf("update without its parts: %+v", u)
		}
	}
	m.change, m.next, m.finalized = nil, nil, nil
	if u := m.whole(t); u.next != nil || u.nextBranch != nil || u.finalityBranch != nil {
		t.Errorf("update with zeros: %+v", u)
	}
	if b := w.bootstrap(t, 90); b.Slot() != 90 {
		t.Errorf("bootstrap of slot %d", b.Slot())
	}
}

func TestDecodeBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(small())
	one := w.update(90).answer()
	list := make([]any, 128)
	for i := range list {
		list[i] = one
	}
	if updates, err := DecodeUpdates(w.n, encode(t, list)); err != nil || len(updates) != 128 {
		t.Errorf("%d updates, %v", len(updates), err)
	}
	if _, err := DecodeUpdates(w.n, encode(t, append(list, one))); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "more than 128") {
		t.Errorf("129 updates: %v", err)
	}
	if updates, err := DecodeUpdates(w.n, []byte("[]")); err != nil || len(updates) != 0 {
		t.Errorf("no updates: %d, %v", len(updates), err)
	}
	body := encode(t, one)
	tests := map[string][]byte{
		"nothing": nil, "null": []byte("null"), "a number": []byte("5"), "half": body[:len(body)/2], "two": append(append([]byte{}, body...), body...),
		"brackets":    bytes.Repeat([]byte("["), 1<<19),
		"objects":     bytes.Repeat([]byte(`{"a":`), 1<<17),
		"too large":   append(append([]byte{}, body...), bytes.Repeat([]byte(" "), maxBody)...),
		"HTML":        []byte("<html>not found</html>"),
		"empty keys":  []byte(`{"version":"deneb","data":{"next_sync_committee":{"pubkeys":[` + strings.Repeat(`"",`, 200_000) + `""]}}}`),
		"many hashes": []byte(`{"version":"deneb","data":{"finality_branch":[` + strings.Repeat(`"",`, 200_000) + `""]}}`),
	}
	for name, body := range tests {
		for i, err := range []error{
			second(DecodeBootstrap(w.n, body)), second(DecodeUpdates(w.n, body)),
			second(DecodeFinalityUpdate(w.n, body)), second(DecodeOptimisticUpdate(w.n, body)),
		} {
			if !errors.Is(err, ErrMalformed) || len(err.Error()) > 400 {
				t.Errorf("%s, path %d: %v", name, i, err)
			}
		}
	}
	if _, err := DecodeUpdates(w.n, bytes.Repeat([]byte(" "), maxBodies+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too large: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNesting(t *testing.T) {
	tests := map[string]int{"": 0, "5": 0, "[]": 1, `{"a":[1,[2]]}`: 3, `"[[["`: 0, `["\"[["]`: 1, `["\\",[]]`: 2, "]]]": 0, `{"[":"{"}`: 1}
	for body, want := range tests {
		if got := nesting([]byte(body)); got != want {
			t.Errorf("%s is nested %d deep, expected %d", body, got, want)
		}
	}
}
