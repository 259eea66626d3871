package doh

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"dens/server/intake"
)

// TestBodyCutShort: what has come of a body is not taken for the whole, though it would be a message.
func TestBodyCutShort(t *testing.T) {
	stats := new(intake.Stats)
	s := httptest.NewServer(newResource(t, intake.Config{Stats: stats}, newActor()).Handler())
	defer s.Close()
	q := packed(t, question("www.example"))
	for name, body := range map[string]string{
		"by its length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(q)+1, q),
		"by its chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(q), q),
	} {
		t.Run(name, func(t *testing.T) {
			before := stats.Malformed.Load()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(conn, "POST /dns-query HTTP/1.1\r\nHost: dns.example\r\nContent-Type: "+typeMessage+"\r\n"+body); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest || stats.Malformed.Load() != before+1 {
				t.Errorf("status %d, %d counted", resp.StatusCode, stats.Malformed.Load()-before)
			}
		})
	}
}
