package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// TestCheckAfterAYoungCheckpoint: a checkpoint of a minute ago is a block that is young enough, and says
// nothing of who serves. dens check looks for more.
func TestCheckAfterAYoungCheckpoint(t *testing.T) {
	t.Parallel()
	w := newProvenWorld(t)
	poor := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/bootstrap/") {
			http.Error(rw, "that is all", http.StatusNotFound)
			return
		}
		w.Beacon.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(poor.Close)
	young := w.Beacon.Finalized().Root.Hex()
	for _, tt := range []struct {
		name, api string
		ok        bool
		want      string // of the lines that tell of the chain's block and of the beacon API
	}{
		{"an API that follows", w.beacon.URL, true, `(?s)demo +proven +beacon \(optimistic\) +\d+ +\S+ +ok\n.*` + `127\.0\.0\.1:\d+ +\d+ +[0-5] +\S+ +ok\n`},
		{"an API that begins and no more", poor.URL, false, `127\.0\.0\.1:\d+ +\d+ +\d+ +- +HTTP status 404\n`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := w.config(t, fmt.Sprintf("anchor: optimistic, checkpoint: %q", young))
			c := cfg.Chains["demo"]
			c.Beacon[0].URL = tt.api
			cfg.Chains["demo"] = c
			var out strings.Builder
			ok, err := check(t.Context(), cfg, &out)
			if err != nil || ok != tt.ok || !regexp.MustCompile(tt.want).MatchString(out.String()) {
				t.Errorf("%v, %v\n%s", ok, err, out.String())
			}
		})
	}
}
