package peers

import (
	"fmt"
	"strconv"
)

// bytesPerEntry is more than any of the servers takes for an answer with one address.
const bytesPerEntry = 1024

func dens(s Site) plan {
	config := fmt.Sprintf(`listen:
  dns: ["%[1]s:53"]
  dot: ["%[1]s:853"]
  doh: ["%[1]s:443"]
  http: ""
tls: { cert: %[2]q, key: %[3]q }
resolve:
  mode: forward
  forward: ["%[4]s"]
chains: {}
names: []
log: { level: error }
`, s.Addr, s.Cert, s.Key, s.Upstream)
	if s.Entries > 200_000 { // the default
		config += fmt.Sprintf("cache: { entries: %d }\n", s.Entries)
	}
	return plan{
		files:     map[string]string{"dens.yaml": config},
		arguments: []string{"serve", "--config", s.Dir + "/dens.yaml"},
		env:       []string{"GOMAXPROCS=" + strconv.Itoa(Threads)},
	}
}

func unbound(s Site) plan {
	size := max(64<<20, s.Entries*bytesPerEntry)
	return plan{
		files: map[string]string{"unbound.conf": fmt.Sprintf(`server:
  interface: %[1]s
  interface: %[1]s@853
  interface: %[1]s@443
  tls-port: 853
  https-port: 443
  tls-service-pem: %[2]q
  tls-service-key: %[3]q
  num-threads: %[4]d
  so-reuseport: yes
  so-rcvbuf: 4m
  so-sndbuf: 4m
  msg-cache-size: %[5]d
  rrset-cache-size: %[6]d
  msg-cache-slabs: %[4]d
  rrset-cache-slabs: %[4]d
  infra-cache-slabs: %[4]d
  key-cache-slabs: %[4]d
  outgoing-range: 8192
  num-queries-per-thread: 4096
  incoming-num-tcp: 1000
  http-max-streams: 1000
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
  module-config: "iterator"
  minimal-responses: yes
  directory: %[7]q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  verbosity: 0
  do-daemonize: no
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: %[8]s@%[9]d
`, s.Addr, s.Cert, s.Key, Threads, size, 2*size, s.Dir, s.Upstream.Addr(), s.Upstream.Port())},
		arguments: []string{"-d", "-p", "-c", s.Dir + "/unbound.conf"},
	}
}

func powerDNS(s Site) plan {
	return plan{
		files: map[string]string{"recursor.conf": fmt.Sprintf(`local-address=%s
local-port=53
threads=%d
reuseport=yes
pdns-distributes-queries=no
forward-zones-recurse=.=%s
dnssec=off
max-cache-entries=%[4]d
max-packetcache-entries=%[4]d
packetcache-ttl=86400
max-tcp-clients=1000
max-concurrent-requests-per-tcp-connection=200
max-mthreads=4096
allow-from=127.0.0.0/8
security-poll-suffix=
socket-dir=%[5]s
daemon=no
write-pid=no
quiet=yes
loglevel=0
disable-syslog=yes
`, s.Addr, Threads, s.Upstream, max(1_000_000, s.Entries), s.Dir)},
		arguments: []string{"--config-dir=" + s.Dir},
	}
}

// knotResolver has no threads, but processes that share a cache. FORWARD would validate, had it an anchor; what
// STUB gets is cached for seconds only.
func knotResolver(s Site) plan {
	return plan{
		files: map[string]string{"kresd.conf": fmt.Sprintf(`log_level('crit')
net.ipv6 = false
net.listen('%[1]s', 53, { kind = 'dns' })
net.listen('%[1]s', 853, { kind = 'tls' })
net.listen('%[1]s', 443, { kind = 'doh2' })
net.tls('%[2]s', '%[3]s')
cache.open(%[4]d, 'lmdb://%[5]s/cache')
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
policy.add(policy.all(policy.FORWARD('%[6]s@%[7]d')))
`, s.Addr, s.Cert, s.Key, max(256<<20, s.Entries*bytesPerEntry), s.Dir, s.Upstream.Addr(), s.Upstream.Port())},
		arguments: []string{"-n", "-c", s.Dir + "/kresd.conf", s.Dir},
		processes: Threads,
	}
}

func bind(s Site) plan {
	return plan{
		files: map[string]string{"named.conf": fmt.Sprintf(`tls bench { cert-file "%[2]s"; key-file "%[3]s"; };
options {
  directory "%[4]s";
  listen-on port 53 { %[1]s; };
  listen-on port 853 tls bench { %[1]s; };
  listen-on port 443 tls bench http default { %[1]s; };
  listen-on-v6 { none; };
  forwarders { %[5]s port %[6]d; };
  forward only;
  recursion yes;
  recursive-clients 10000;
  allow-query { any; };
  dnssec-validation no;
  empty-zones-enable no;
  minimal-responses yes;
  max-cache-size %[7]d;
  tcp-clients 1000;
  querylog no;
  pid-file none;
  lock-file none;
  session-keyfile none;
};
controls { };
logging { category default { null; }; };
`, s.Addr, s.Cert, s.Key, s.Dir, s.Upstream.Addr(), s.Upstream.Port(), max(512<<20, 2*s.Entries*bytesPerEntry))},
		arguments: []string{"-f", "-n", strconv.Itoa(Threads), "-c", s.Dir + "/named.conf"},
	}
}
