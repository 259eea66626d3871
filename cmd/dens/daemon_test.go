package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestShutdownSlowClients: clients that do not end their requests do not make the end of dens a failure.
func TestShutdownSlowClients(t *testing.T) {
	cfg := parseConfig(t, `
listen: { dns: ["127.0.0.1:0"], http: "127.0.0.1:0" }
chains: { none: { id: 1, trust: single, rpc: ["http://127.0.0.1:1"] } }
names: []
resolve: { forward: ["127.0.0.1:1"] }
`)
	d, err := startDaemon(cfg, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", d.web.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: application/dns-message\r\n"+
		"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n') // the server is reading the body
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v", line, err)
	}
	if err := d.shutdown(100 * time.Millisecond); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Error("the connection lives on")
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}
