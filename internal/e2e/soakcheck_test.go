package e2e

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/soak"
)

// soakNames are the questions of the soak, and their answers.
type soakNames struct {
	warm []soak.Question // in the cache, whatever happens
	n    atomic.Int64    // makes other names new
}

// soakHosts is how many names of example.org have addresses.
const soakHosts = 40

// soakZones is how many names below example.org have wildcards, each with an answer of its own.
const soakZones = 200

func newSoakNames() *soakNames {
	s := new(soakNames)
	for i := range soakHosts {
		s.warm = append(s.warm, soak.Question{Name: fmt.Sprintf("h%d.example.org", i), Type: dns.TypeA, Data: []string{fmt.Sprintf("10.0.0.%d", i)}})
	}
	for i := range 6 {
		s.warm = append(s.warm, soak.Question{Name: fmt.Sprintf("big%d.example.org", i), Type: dns.TypeTXT, Data: bigTexts(i)},
			soak.Question{Name: fmt.Sprintf("none%d.example.org", i), Type: dns.TypeA, Rcode: dns.RcodeNameError},
			soak.Question{Name: fmt.Sprintf("h%d.example.org", i), Type: dns.TypeMX})
	}
	for _, sample := range demo.Samples() {
		if q, ok := soakSample(sample); ok {
			s.warm = append(s.warm, q)
		}
	}
	return s
}

// soakSample takes those samples of on-chain names whose answers are theirs alone, and always the same.
func soakSample(sample demo.Sample) (soak.Question, bool) {
	rrtype, known := dns.StringToType[sample.Type]
	q := soak.Question{Name: sample.Name, Type: rrtype, Rcode: sample.Rcode}
	onChain := strings.HasSuffix(q.Name, ".eth") || strings.HasSuffix(q.Name, ".eth.limo")
	if !known || !onChain || sample.More || sample.EDE || strings.HasSuffix(q.Name, "offchain.eth") {
		return q, false
	}
	for _, want := range sample.Want {
		data, found := strings.CutPrefix(want, sample.Type+" ")
		if !found {
			return q, false // an alias
		}
		q.Data = append(q.Data, data)
	}
	return q, true
}

// bigTexts are too long for UDP: 1.6 to 17 kilobytes.
func bigTexts(i int) []string {
	var data []string
	for k := range 8 * (1 + 2*i) {
		data = append(data, fmt.Sprintf(`"%d %d %s"`, i, k, strings.Repeat("x", 180)))
	}
	return data
}

// zone is the zone example.org.
func (*soakNames) zone() string {
	var b strings.Builder
	b.WriteString("$TTL 43200\n@ SOA ns1 hostmaster 1 7200 3600 1209600 43200\n@ NS ns1\nns1 A 192.0.2.53\n")
	for i := range soakHosts {
		fmt.Fprintf(&b, "h%d A 10.0.0.%d\n", i, i)
	}
	for i := range 6 {
		for _, data := range bigTexts(i) {
			fmt.Fprintf(&b, "big%d TXT %s\n", i, data)
		}
	}
	for i := range soakZones {
		fmt.Fprintf(&b, "*.m%d 60 A 10.1.0.%d\n", i, i)
	}
	return b.String()
}

// known is a question whose answer is in the cache.
func (s *soakNames) known() soak.Question { return s.warm[rand.IntN(len(s.warm))] }

// bind is a question that BIND knows the answer to.
func (s *soakNames) bind() soak.Question {
	q := s.warm[rand.IntN(soakHosts)]
	q.Auth = true
	return q
}

// upstream is a question for which the upstream server has to be asked.
func (s *soakNames) upstream() soak.Question {
	n, k := s.n.Add(1), rand.IntN(soakZones)
	switch n % 4 {
	case 0:
		return soak.Question{Name: fmt.Sprintf("none.n%d.example.org", n), Type: dns.TypeA, Rcode: dns.RcodeNameError}
	case 1:
		return soak.Question{Name: fmt.Sprintf("u%d.m%d.example.org", n, k), Type: dns.TypeAAAA}
	default:
		return soak.Question{Name: fmt.Sprintf("u%d.m%d.example.org", n, k), Type: dns.TypeA, Data: []string{fmt.Sprintf("10.1.0.%d", k)}}
	}
}

// chain is a question for which the chain has to be asked, or a gateway.
func (s *soakNames) chain() soak.Question {
	n := s.n.Add(1)
	label := fmt.Sprintf("x%d", n)
	switch n % 4 {
	case 0:
		return soak.Question{Name: "anna.offchain.eth", Type: dns.TypeA, Data: []string{"192.0.2.61"}}
	case 1:
		return soak.Question{Name: label + ".alice.eth", Type: dns.TypeA, Data: []string{"192.0.2.12"}}
	case 2:
		return soak.Question{Name: label + ".nobody.eth", Type: dns.TypeA, Rcode: dns.RcodeNameError}
	default:
		hash := new(big.Int).SetBytes(crypto.Keccak256([]byte(label)))
		return soak.Question{Name: label + ".wild.eth", Type: dns.TypeA, Data: []string{fmt.Sprintf("192.0.2.%d", hash.Mod(hash, big.NewInt(254)).Int64()+1)}}
	}
}

// soakLoads are the loads of all transports: questions of all kinds by one connection.
type soakLoads struct {
	all     map[string]*soak.Load
	known   *soak.Tally // of all names in the cache
	control *soak.Tally // of BIND, which is asked directly
}

func newSoakLoads(s *soaked) *soakLoads {
	l := &soakLoads{all: map[string]*soak.Load{}, known: new(soak.Tally), control: new(soak.Tally)}
	for _, transport := range soak.Transports() {
		c := soak.NewClient(s.target, transport)
		add := func(what string, next func() soak.Question, pace time.Duration, total *soak.Tally, outages *soak.Outages) {
			l.all[transport+", "+what] = &soak.Load{
				Client: c, Next: next, Pace: pace, Depth: 24, Patience: 3 * soakPatience, Tally: new(soak.Tally), Total: total, Outages: outages,
			}
		}
		add("known names", s.names.known, 25*time.Millisecond, l.known, nil)
		add("new names", s.names.upstream, 150*time.Millisecond, nil, &s.upstream)
		add("new names on the chain", s.names.chain, 400*time.Millisecond, nil, &s.chain)
	}
	bind := soak.NewClient(&soak.Target{DNS: s.bind}, "tcp")
	l.all["BIND"] = &soak.Load{Client: bind, Next: s.names.bind, Pace: 10 * time.Millisecond, Depth: 24, Patience: 3 * soakPatience, Tally: l.control}
	return l
}

func (l *soakLoads) close() {
	for _, load := range l.all {
		load.Client.Close()
	}
}

// check wants an answer to each question for a name in the cache, and to others whenever there is somebody who
// knows it.
func (l *soakLoads) check(t *testing.T) {
	t.Helper()
	known, control := l.known.Result(), l.control.Result()
	slowest := max(soakPatience, soakFactor*control.Slowest)
	for name, load := range l.all {
		r := load.Tally.Result()
		t.Logf("%s: %d connections or datagrams lost; %v", name, load.Client.Lost(), r)
		answered := r.Asked - r.Wrong - r.Failed - r.Excused
		switch {
		case r.Wrong > 0:
			t.Errorf("%s: %d wrong answers", name, r.Wrong)
		case load.Total != nil && (r.Failed > 0 || r.Slowest > slowest):
			t.Errorf("%s: %d of %d were not answered, and the slowest answer took %v, want at most %v", name, r.Failed, r.Asked, r.Slowest, slowest)
		case r.Failed > r.Asked/200:
			t.Errorf("%s: %d of %d failed though there was somebody to answer", name, r.Failed, r.Asked)
		case answered < r.Asked/4 || answered < 10:
			t.Errorf("%s: only %d of %d were answered", name, answered, r.Asked)
		}
	}
	t.Logf("known names, by all transports: %v", known)
	if limit := max(soakP999, soakFactor*control.P999); known.P999 > limit {
		t.Errorf("known names: p99.9 is %v, want at most %v", known.P999, limit)
	}
}

func (s *soaked) scrape(t *testing.T) soak.Metrics {
	t.Helper()
	m, err := soak.Scrape(s.target.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// level waits until connections have ended that were left, and what is under way.
func (s *soaked) level(t *testing.T) soak.Level {
	t.Helper()
	return s.settle(t, func(l soak.Level) bool { return l.Connections == 0 })
}

// settle measures until all is well, or for some time.
func (s *soaked) settle(t *testing.T, well func(soak.Level) bool) soak.Level {
	t.Helper()
	var last soak.Level
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		for i := range s.relays {
			s.relays[i].HangUp()
			s.fronts[i].CloseClientConnections()
		}
		l, err := soak.Measure(s.Cmd.Process.Pid, s.target.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		stable := l.Goroutines == last.Goroutines && l.Descriptors == last.Descriptors
		if last = l; stable && well(l) {
			break
		}
	}
	return last
}

// checkLevel wants all to be as it was before, but for an allowance.
func (s *soaked) checkLevel(t *testing.T, before soak.Level) {
	t.Helper()
	start := time.Now()
	after := s.settle(t, func(l soak.Level) bool {
		return l.Connections == 0 && l.Goroutines <= before.Goroutines+soakGoroutines &&
			l.Descriptors <= before.Descriptors+soakDescriptors && l.Spare <= soakSpare && l.Resident <= before.Resident+soakMemory
	})
	t.Logf("after: %v, %v after the end", after, time.Since(start).Round(100*time.Millisecond))
	defer func() {
		if t.Failed() {
			t.Logf("descriptors now:\n%s", soak.Descriptors(s.Cmd.Process.Pid))
		}
	}()
	if after.Connections > 0 || after.Spare > soakSpare {
		t.Errorf("%d connections and %d sockets without a port are open", after.Connections, after.Spare)
	}
	for what, n := range map[string][3]int64{
		"goroutines":                {int64(before.Goroutines), int64(after.Goroutines), soakGoroutines},
		"descriptors":               {int64(before.Descriptors), int64(after.Descriptors), soakDescriptors},
		"octets of resident memory": {before.Resident, after.Resident, soakMemory},
	} {
		if n[1] > n[0]+n[2] {
			t.Errorf("%d %s, %d more than before; want at most %d more", n[1], what, n[1]-n[0], n[2])
		}
	}
}

// checkCounters wants the harm to show, and no panic.
func (s *soaked) checkCounters(t *testing.T, first soak.Metrics) {
	t.Helper()
	last := s.scrape(t)
	for _, c := range []struct {
		name   string
		labels []string
	}{
		{"dens_malformed_total", nil},
		{"dens_handshakes_failed_total", nil},
		{"dens_slow_total", nil},
		{"dens_abuse_total", nil},
		{"dens_connections_refused_total", []string{`protocol="tcp"`}},
		{"dens_connections_opened_total", []string{`protocol="tcp"`}},
		{"dens_connections_opened_total", []string{`protocol="dot"`}},
		{"dens_connections_opened_total", []string{`protocol="doh"`}},
		{"dens_connections_opened_total", []string{`protocol="doh3"`}},
		{"dens_connections_opened_total", []string{`protocol="doq"`}},
	} {
		grown := last.Sum(c.name, c.labels...) - first.Sum(c.name, c.labels...)
		t.Logf("%s %v: %v more", c.name, c.labels, grown)
		if grown <= 0 {
			t.Errorf("%s %v did not grow", c.name, c.labels)
		}
	}
	if n := last.Sum("dens_panics_total"); n != 0 || strings.Contains(strings.ToLower(s.Log()), "panic") {
		t.Errorf("%v panics", n)
	}
	if size := len(s.Log()) - s.log; size > 1<<20 {
		t.Errorf("the storm made dens log %d KiB", size>>10)
	}
}

// checkEnd ends dens while clients have connections open.
func (s *soaked) checkEnd(t *testing.T) {
	t.Helper()
	for _, transport := range soak.Transports() {
		c := soak.NewClient(s.target, transport)
		defer c.Close()
		s.once(t, c, transport, s.names.known())
	}
	start := time.Now()
	sigterm(t, s.Process)
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("dens ended %v after SIGTERM", took)
	}
}
