package peers

import (
	"fmt"
	"strconv"
)

// dnsdist takes a listener a thread.
func dnsdist(s Site) plan {
	config := fmt.Sprintf(`setSecurityPollSuffix("")
setMaxTCPClientThreads(%[1]d)
setMaxUDPOutstanding(65535)
newServer({ address = "%[2]s" })
getServer(0):setUp()
getPool(""):setCache(newPacketCache(%[3]d, { maxTTL = 86400 }))
`, Threads, s.Upstream, max(200_000, s.Entries))
	for range Threads {
		config += fmt.Sprintf(`addLocal("%[1]s:53", { reusePort = true })
addTLSLocal("%[1]s:853", "%[2]s", "%[3]s", { reusePort = true })
addDOHLocal("%[1]s:443", "%[2]s", "%[3]s", "/dns-query", { reusePort = true })
`, s.Addr, s.Cert, s.Key)
	}
	return plan{
		files:     map[string]string{"dnsdist.conf": config},
		arguments: []string{"--supervised", "--disable-syslog", "-C", s.Dir + "/dnsdist.conf"},
	}
}

// coreDNS has a cache for each transport.
func coreDNS(s Site) plan {
	rest := fmt.Sprintf(`	bind %s
	cache 86400 {
		success %d 86400
		denial %[2]d 86400
	}
	forward . %[3]s {
		max_fails 0
	}
`, s.Addr, max(200_000, s.Entries), s.Upstream)
	secure := fmt.Sprintf("\ttls %s %s\n", s.Cert, s.Key)
	return plan{
		files: map[string]string{
			"Corefile": ".:53 {\n" + rest + "}\ntls://.:853 {\n" + secure + rest + "}\nhttps://.:443 {\n" + secure + rest + "}\n",
		},
		arguments: []string{"-conf", s.Dir + "/Corefile"},
		env:       []string{"GOMAXPROCS=" + strconv.Itoa(Threads)},
	}
}
