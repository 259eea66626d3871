package consensus

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// serve starts a chain with a server.
func serve(t *testing.T, config Config) *reader {
	t.Helper()
	config.Head = execution()
	c, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return read(t, c)
}

// ask makes a request by HTTP.
func (r *reader) ask(path string) (status int, header http.Header, body string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

func TestServer(t *testing.T) {
	r := serve(t, Config{})
	root, slot := r.Checkpoint()
	final := r.Finalized()
	light := "/eth/v1/beacon/light_client/"
	for path, want := range map[string]struct {
		status int
		body   string // a part of it
	}{
		light + "bootstrap/" + root.Hex():              {200, `{"version":"fulu","data":{"header":{"beacon":{"slot":"`},
		light + "bootstrap/" + final.Root.Hex():        {200, fmt.Sprintf(`"slot":"%d"`, final.Slot)},
		light + "bootstrap/" + r.Head().Root.Hex():     {404, `{"code":404,"message":"not known"}`},
		light + "bootstrap/" + common.Hash{1}.Hex():    {404, `"code":404`},
		light + "bootstrap/0x12":                       {404, `"code":404`},
		light + "updates?start_period=0&count=1":       {200, `[{"version":"fulu","data":{"attested_header":{"beacon":`},
		light + "updates?start_period=77&count=128":    {200, `[]`},
		light + "updates?start_period=-1&count=1":      {404, ""},
		light + "updates?start_period=1":               {404, ""},
		light + "updates?count=18446744073709551615":   {404, ""},
		light + "finality_update":                      {200, fmt.Sprintf(`"finalized_header":{"beacon":{"slot":"%d"`, final.Slot)},
		light + "optimistic_update":                    {200, fmt.Sprintf(`"attested_header":{"beacon":{"slot":"%d"`, r.Head().Slot)},
		"/eth/v1/beacon/headers/finalized":             {200, fmt.Sprintf(`"root":%q`, final.Root)},
		"/eth/v1/beacon/headers/head":                  {200, `"finalized":false`},
		fmt.Sprintf("/eth/v1/beacon/headers/%d", slot): {200, fmt.Sprintf(`"root":%q`, root)},
		"/eth/v1/beacon/headers/" + root.Hex():         {200, `"finalized":true`},
		"/eth/v1/beacon/headers/3":                     {404, ""},
		"/eth/v1/beacon/headers/tail":                  {404, ""},
		"/eth/v1/beacon/blocks/finalized/root":         {200, fmt.Sprintf(`"data":{"root":%q}`, final.Root)},
		"/eth/v1/beacon/blocks/tail/root":              {404, ""},
		"/eth/v1/beacon/genesis":                       {200, `"genesis_validators_root":"` + validatorsRoot().Hex()},
		"/eth/v1/config/spec":                          {200, `"SECONDS_PER_SLOT":"1"`},
		"/eth/v1/node/health":                          {200, ""},
		"/eth/v1/node/peers":                           {404, ""},
	} {
		status, header, body := r.ask(path)
		if status != want.status || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d %.300s", path, status, body)
		}
		isLight := strings.HasPrefix(path, light) && strings.HasPrefix(body, "{\"version")
		if isLight != (header.Get("Eth-Consensus-Version") == "fulu") {
			t.Errorf("%s: header %v", path, header)
		}
	}
	if r.Close() != nil {
		t.Error("not closed")
	}
	if _, err := http.Get(r.URL() + "/eth/v1/node/health"); err == nil { //nolint:noctx // refused
		t.Error("served after the end")
	}
}

// TestShape: all fields of the beacon API and no others, numbers as decimal text, bytes in lower-case hex.
func TestShape(t *testing.T) {
	beacon := []string{"body_root", "parent_root", "proposer_index", "slot", "state_root"}
	execution := []string{
		"base_fee_per_gas", "block_hash", "block_number", "extra_data", "fee_recipient", "gas_limit", "gas_used",
		"logs_bloom", "parent_hash", "prev_randao", "receipts_root", "state_root", "timestamp", "transactions_root", "withdrawals_root",
	}
	blobs := slices.Sorted(slices.Values(append([]string{"blob_gas_used", "excess_blob_gas"}, execution...)))
	for fork, fields := range map[string][]string{"capella": execution, "deneb": blobs, "electra": blobs, "gloas": nil} {
		r := start(t, Config{Forks: map[string]uint64{fork: 0}})
		var list []struct{ Data map[string]any }
		r.get("/eth/v1/beacon/light_client/updates?start_period=0&count=1", &list)
		data := list[0].Data
		want := []string{"attested_header", "finalized_header", "finality_branch", "next_sync_committee", "next_sync_committee_branch", "signature_slot", "sync_aggregate"}
		checkKeys(t, data, slices.Sorted(slices.Values(want)))
		for _, name := range []string{"attested_header", "finalized_header"} {
			header := data[name].(map[string]any)
			if fork == "gloas" {
				checkKeys(t, header, []string{"beacon", "execution_block_hash", "execution_branch"})
			} else {
				checkKeys(t, header, []string{"beacon", "execution", "execution_branch"})
				checkKeys(t, header["execution"].(map[string]any), fields)
			}
			checkKeys(t, header["beacon"].(map[string]any), beacon)
		}
		checkText(t, fork, data)
	}
}

func checkKeys(t *testing.T, object map[string]any, want []string) {
	t.Helper()
	var got []string
	for key := range object {
		got = append(got, key)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
}

func checkText(t *testing.T, path string, value any) {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		for key, part := range v {
			checkText(t, path+"."+key, part)
		}
	case []any:
		for _, part := range v {
			checkText(t, path, part)
		}
	case string:
		digits, isHex := strings.CutPrefix(v, "0x")
		if isHex && (len(digits)%2 != 0 || strings.Trim(digits, "0123456789abcdef") != "") ||
			!isHex && (v == "" || strings.Trim(v, "0123456789") != "" || len(v) > 1 && v[0] == '0') {
			t.Errorf("%s is %q", path, v)
		}
	default:
		t.Errorf("%s is %v", path, v)
	}
}

func TestRewrite(t *testing.T) {
	r := serve(t, Config{})
	r.SetRewrite(func(kind string, body []byte) []byte {
		if !json.Valid(body) {
			t.Errorf("%s: %s", kind, body)
		}
		return []byte(kind)
	})
	for path, kind := range map[string]string{
		"/eth/v1/beacon/light_client/updates?start_period=0&count=1": "updates",
		"/eth/v1/beacon/light_client/finality_update":                "finality_update",
		"/eth/v1/beacon/light_client/optimistic_update":              "optimistic_update",
		"/eth/v1/beacon/light_client/bootstrap/0x00":                 "bootstrap",
		"/eth/v1/beacon/headers/finalized":                           "headers",
	} {
		if _, _, body := r.ask(path); body != kind {
			t.Errorf("%s: %.100s", path, body)
		}
	}
	r.SetRewrite(nil)
	if _, _, body := r.ask("/eth/v1/beacon/headers/finalized"); !json.Valid([]byte(body)) {
		t.Errorf("no way back to honesty: %.100s", body)
	}
}

// TestWhileServing asks while blocks are made, for the race detector.
func TestWhileServing(t *testing.T) {
	r := start(t, Config{SlotTime: time.Second, Auto: true})
	done := make(chan error, 1)
	go func() {
		_, err := r.Finalize()
		done <- err
	}()
	for {
		for _, path := range []string{"light_client/updates?start_period=0&count=128", "light_client/finality_update", "headers/finalized"} {
			w := httptest.NewRecorder()
			r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/eth/v1/beacon/"+path, nil))
			if w.Code != http.StatusOK {
				t.Fatalf("%s: %d", path, w.Code)
			}
		}
		r.SetSigners(400)
		r.SetFinalityLag(0)
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// FuzzHandler: whatever is asked for, the answer is JSON, and 200 or an error of the client.
func FuzzHandler(f *testing.F) {
	c, err := Start(f.Context(), Config{Head: execution(), Port: -1})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	root, _ := c.Checkpoint()
	f.Add("bootstrap", root.Hex(), "")
	f.Add("updates", "", "start_period=18446744073709551615&count=18446744073709551615")
	f.Add("headers", "18446744073709551615", "")
	f.Fuzz(func(t *testing.T, kind, id, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		switch kind {
		case "bootstrap":
			r.URL.Path = "/eth/v1/beacon/light_client/bootstrap/" + id
		case "updates":
			r.URL.Path = "/eth/v1/beacon/light_client/updates"
		default:
			r.URL.Path = "/eth/v1/beacon/headers/" + id
		}
		w := httptest.NewRecorder()
		c.Handler().ServeHTTP(w, r)
		if ours := w.Header().Get("Content-Type") == "application/json"; ours != json.Valid(w.Body.Bytes()) || w.Code >= 500 {
			t.Errorf("%s?%s: %d %.100s", r.URL.Path, query, w.Code, w.Body)
		}
	})
}
