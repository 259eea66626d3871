package internet

import (
	"os"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	start := time.Now()
	n := Start(t, AllZones())
	t.Logf("up in %v, %d zones, %d addresses", time.Since(start), len(n.Zones), len(n.opened))
	u, b := n.StartUnbound(t), n.StartBIND(t)
	qs := n.Questions()
	t.Logf("resolvers up in %v, %d questions", time.Since(start), len(qs))
	var ur, br []Reply
	done := make(chan bool)
	go func() { br = b.AskAll(t.Context(), qs, 50); t.Logf("bind %v", time.Since(start)); done <- true }()
	ur = u.AskAll(t.Context(), qs, 50)
	t.Logf("unbound %v", time.Since(start))
	<-done
	slow := map[string]time.Duration{}
	to := 0
	for i, q := range qs {
		slow["u "+q.Zone.Name] += ur[i].Took
		slow["b "+q.Zone.Name] += br[i].Took
		if ur[i].Rcode == "TIMEOUT" {
			to++
		}
	}
	t.Logf("timeouts %d", to)
	for k, v := range slow {
		if v > 4*time.Second {
			t.Logf("slow %s %v", k, v)
		}
	}
	c := Compare(qs, ur, ur, br)
	t.Log("\n" + c.Table("bind"))
	os.WriteFile("/tmp/ub.txt", []byte(c.List("unbound", "unbound", "bind")), 0o644)
}
