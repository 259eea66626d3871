package pool

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"dens/chain"
)

// TestHiddenHost: a host that only an environment variable names is in no error and no status.
func TestHiddenHost(t *testing.T) {
	const host = "tenant-4711.rpc.example"
	refuse := func(_ context.Context, _, address string) (net.Conn, error) {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	hide := func(c *EndpointConfig) {
		c.Name, c.Operator, c.HideHost, c.Dial = "example", "example", true, refuse
	}
	for _, url := range []string{"https://" + host + "/v2", "wss://" + strings.ToUpper(host) + ":8443", "/run/" + host + "/geth.ipc"} {
		e := endpoint(t, url, hide)
		_, err := e.CallAt(within(t, 30*time.Second), []chain.Msg{{}}, chain.Head{})
		if err == nil {
			t.Fatal("a call to nowhere succeeded")
		}
		eventually(t, "an error in the status", func() bool { return e.Status().LastError != "" })
		for _, text := range []string{err.Error(), e.Status().LastError, e.Name(), e.Operator()} {
			if strings.Contains(strings.ToLower(text), "4711") || strings.Contains(text, "geth.ipc") {
				t.Errorf("the host shows: %s", text)
			}
		}
	}
	if _, err := NewEndpoint(EndpointConfig{URL: "https://" + host, ChainID: 1, HideHost: true}); err == nil || strings.Contains(err.Error(), host) {
		t.Errorf("a hidden host without a name: %v", err)
	}
}

// TestNoBatch: a backend that is said to take no batches never gets one.
func TestNoBatch(t *testing.T) {
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.NoBatch = true })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	head, _ := e.Head()
	_, before, _ := n.Counts()
	outputs, err := e.CallAt(within(t, 30*time.Second), []chain.Msg{{}, {}, {}}, head)
	if err != nil || len(outputs) != 3 {
		t.Fatalf("%v, %v", outputs, err)
	}
	if _, after, _ := n.Counts(); after-before != 3 {
		t.Errorf("%d requests for three calls, want 3", after-before)
	}
}
