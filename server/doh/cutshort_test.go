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

// TestHalfClose: a client of HTTP/1.1 that has sent all and says so still gets the answer, also one that takes time.
func TestHalfClose(t *testing.T) {
	a := newActor()
	s := httptest.NewServer(newResource(t, intake.Config{}, a).Handler())
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	get := "GET /dns-query?dns=" + b64(packed(t, question("slow.example"))) + " HTTP/1.1\r\nHost: dns.example\r\n\r\n"
	if _, err := io.WriteString(conn, get); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-a.slow
	r := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if b, err := r.Peek(1); err == nil {
		t.Errorf("%q before there was an answer", b)
	}
	close(a.release)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}

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
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
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
