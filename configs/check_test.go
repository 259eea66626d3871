package configs

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestProblems names, for each mistake, the lines that a user sees.
func TestProblems(t *testing.T) {
	const rpc3 = "    rpc: [https://a.example.com, https://b.example.net, https://c.example.org]\n"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown key, near", "lisen: {}\n", []string{`dens.yaml:1: lisen: found an unknown key, expected "listen" (did you mean that?)`}},
		{"unknown key, far", "log:\n  colour: red\n", []string{`dens.yaml:2: log.colour: found an unknown key, expected one of format, level`}},
		{"key twice", "log: {}\ncache: {}\nlog: {}\n", []string{`dens.yaml:3: log: found the key a second time (the first is on line 1), expected it once`}},
		{"all at once", "cache:\n  entries: many\n  stale: soon\nlog: { level: loud }\n", []string{
			`dens.yaml:2: cache.entries: found "many", expected a whole number from 100 to 100000000`,
			`dens.yaml:3: cache.stale: found "soon", expected a duration from 1s to 168h, such as 90s, 15m or 24h, or 0 for off`,
			`dens.yaml:4: log.level: found "loud", expected debug or info or warn or error`,
		}},
		{"list for a mapping", "listen: [a]\n", []string{`dens.yaml:1: listen: found a list, expected a mapping of keys`}},
		{"word for a list", "listen:\n  dns: 127.0.0.1:53\n", []string{`dens.yaml:2: listen.dns: found "127.0.0.1:53", expected a list`}},
		{"nothing", "cache:\n  entries:\n", []string{`dens.yaml:2: cache.entries: found nothing, expected a whole number`}},
		{"bad address", "listen:\n  dns:\n    - 127.0.0.1:53\n    - localhost:53\n", []string{`dens.yaml:4: listen.dns[1]: found "localhost:53", expected an IP address and port`}},
		{"port too great", "listen: { dns: ['127.0.0.1:65536'] }\n", []string{`dens.yaml:1: listen.dns[0]: found "127.0.0.1:65536"`}},
		{"same address twice", "listen: { dns: ['127.0.0.1:53'], http: '127.0.0.1:53' }\n", []string{`listen.http: found 127.0.0.1:53, expected an address and port that listen.dns[0] does not have`}},
		{"nothing listens", "listen: { dns: [], http: '' }\n", []string{`listen: found no address, expected at least one`}},
		{"bad network", "access: { allow: [10.0.0.0/33] }\n", []string{`access.allow[0]: found "10.0.0.0/33", expected a network`}},
		{"host bits", "access: { allow: [10.0.0.1/8] }\n", []string{`access.allow[0]: found "10.0.0.1/8", expected 10.0.0.0/8, the network`}},
		{"negative rate", "access: { rate: -1 }\n", []string{`access.rate: found "-1", expected a number from 0 to 1e+06`}},
		{"rate that is no number", "access: { rate: .nan }\n", []string{`access.rate: found ".nan", expected a number`}},
		{"short cookie secret", "access: { cookie_secrets: [e5e973e5a6b2a43f48e7dc849e37bf] }\n", []string{`dens.yaml:1: access.cookie_secrets[0]: found 30 other characters, expected 32 hexadecimal digits`}},
		{"cookie secret that is no hexadecimal number", "access: { cookie_secrets: [00000000000000000000000000000000, e5e973e5a6b2a43f48e7dc849e37bfcg] }\n", []string{`access.cookie_secrets[1]: found 32 other characters, expected 32 hexadecimal digits`}},
		{"too many cookie secrets", "access: { cookie_secrets: [" + strings.Repeat("e5e973e5a6b2a43f48e7dc849e37bfcf,", 5) + "] }\n", []string{`access.cookie_secrets: found 5 elements, expected at most 4`}},
		{"yes for true", "cache: { prefetch: yes }\n", []string{`cache.prefetch: found "yes", expected true or false`}},
		{"no certificate", "listen: { dot: ['127.0.0.1:853'] }\n", []string{`dens.yaml:1: tls.cert: found "" (the default), expected a certificate file, or acme or self_signed in its place, since listen.dot`}},
		{"half a certificate", "tls: { cert: a.pem }\n", []string{`tls.key: found "" (the default), expected a key file, since there is a certificate file`}},
		{"half a certificate, the other half", "tls:\n  key: a.pem\n", []string{`dens.yaml:2: tls.cert: found "" (the default), expected a certificate file, since there is a key file`}},
		{"no certificate for QUIC", "listen:\n  doq: ['127.0.0.1:853']\n", []string{`tls.cert: found "" (the default), expected a certificate file`}},
		{"two certificates", "tls:\n  self_signed: true\n  acme: { domains: [dns.example.org] }\n", []string{`dens.yaml:2: tls.self_signed: found both acme and self_signed, expected one of cert with key, acme, and self_signed`}},
		{"a certificate and ACME", "tls: { cert: a, key: b, acme: { domains: [dns.example.org] } }\n", []string{`tls.acme: found both cert and acme`}},
		{"ACME for nobody", "tls:\n  acme:\n    email: ops@example.org\n", []string{`dens.yaml:3: tls.acme.domains: found no name, expected at least one`}},
		{"ACME by wildcard", "tls: { acme: { domains: ['*.example.org', a_b.example, '1.2.3', 'fe80::1%eth0'] } }\n", []string{
			`tls.acme.domains[0]: found "*.example.org", expected a domain name such as dns.example.org, other alphabets as A-labels (xn--...), or an IP address; a name with * takes`,
			`tls.acme.domains[1]: found "a_b.example"`, `tls.acme.domains[2]: found "1.2.3"`, `tls.acme.domains[3]: found "fe80::1%eth0"`}},
		{"ACME twice", "tls: { acme: { domains: [dns.example.org, DNS.example.org.] } }\n", []string{`tls.acme.domains[1]: found "dns.example.org", expected each name once`}},
		{"ACME for too many", "tls: { acme: { domains: [" + strings.Repeat("a.example,", 101) + "] } }\n", []string{`tls.acme.domains: found 101 elements, expected at most 100`}},
		{"ACME's e-mail", "tls: { acme: { domains: [dns.example.org], email: 'ops' } }\n", []string{`tls.acme.email: found "ops", expected an e-mail address`}},
		{"ACME without TLS", "tls: { acme: { domains: [dns.example.org], directory: 'http://acme.example/KEY' } }\n", []string{`tls.acme.directory: found "http://acme.example/...", expected the https URL`}},
		{"ACME's profile", "tls: { acme: { domains: [dns.example.org], profile: 'a b' } }\n", []string{`tls.acme.profile: found "a b", expected the name of a profile`}},
		{"ACME without a cache", "tls: { acme: { domains: [dns.example.org], cache: '' } }\n", []string{`tls.acme.cache: found "", expected a directory`}},
		{"ACME at an address that is taken", "listen: { http: '127.0.0.1:80' }\ntls: { acme: { domains: [dns.example.org], http: '127.0.0.1' } }\n", []string{`tls.acme.http: found 127.0.0.1:80, expected an address and port that listen.http does not have`}},
		{"ACME server that nobody finds", "names: []\nchains: { own: { id: 1, trust: single, rpc: [http://127.0.0.1:8545] } }\nresolve: { forward: [] }\ntls: { acme: { domains: [dns.example.org] } }\n", []string{`resolve.bootstrap: found no address, expected at least one, since backends, upstreams or the ACME server have host names`}},
		{"state of nothing", "tls:\n  self_signed_state: a.pem\n", []string{`dens.yaml:2: tls.self_signed_state: found a state without self_signed, expected self_signed: true`}},
		{"name that is none", "tls: { self_signed: true, name: 192.0.2.1 }\n", []string{`tls.name: found "192.0.2.1", expected a host name`}},
		{"template for a path", "doh: { path: '/dns-query{dns}' }\n", []string{`doh.path: found "/dns-query{dns}", expected a path of letters, digits and -._~, such as /dns-query`}},
		{"path that is no plain one", "doh:\n  path: /a/../b\n", []string{`dens.yaml:2: doh.path: found "/a/../b"`}},
		{"path that is taken", "doh: { path: /metrics }\n", []string{`doh.path: found "/metrics"`}},
		{"path with an end", "doh: { path: /q/ }\n", []string{`doh.path: found "/q/"`}},
		{"path with a space", "doh: { path: /a b }\n", []string{`doh.path: found "/a b"`}},
		{"path of the page", "doh: { path: / }\n", []string{`doh.path: found "/"`}},
		{"relative path", "doh: { path: dns-query }\n", []string{`doh.path: found "dns-query"`}},
		{"proxy by name", "doh: { trusted_proxies: [loopback, proxy.example] }\n", []string{`doh.trusted_proxies[1]: found "proxy.example", expected a network such as 10.0.0.0/8, an IP address, or loopback, private or any`}},
		{"discovery of all addresses", "discovery: { enabled: 1, addresses: ['0.0.0.0'] }\n", []string{`discovery.enabled: found "1", expected true or false`, `discovery.addresses[0]: found "0.0.0.0", expected an IP address`}},
		{"one UDP port for both", "listen: { dns: ['127.0.0.1:853'], doq: ['127.0.0.1:853'] }\ntls: { self_signed: true }\n", []string{`listen.doq[0]: found 127.0.0.1:853, expected an address and port that listen.dns[0] does not have`}},
		{"quorum over the operators", "chains:\n  ethereum:\n    id: 1\n    quorum: 5\n" + rpc3, []string{`dens.yaml:4: chains.ethereum.quorum: found 5, expected at most 3 (the number of operators)`}},
		{"quorum of one operator's endpoints", "chains:\n  ethereum:\n    id: 1\n    rpc: [https://a.example.com, https://b.example.com]\n", []string{`dens.yaml:3: chains.ethereum.quorum: found 2 (the default), expected at most 1 (the number of operators), or anchor: trusted for a node of your own, or trust: single`}},
		{"quorum of one", "chains:\n  ethereum:\n    id: 1\n    quorum: 1\n" + rpc3, []string{`dens.yaml:4: chains.ethereum.quorum: found 1, expected at least 2 (or anchor: trusted for a node of your own, or trust: single)`}},
		{"no id", "chains:\n  ethereum:\n" + rpc3, []string{`chains.ethereum.id: found no chain id, expected one`}},
		{"no backend", "chains:\n  ethereum: { id: 1 }\n", []string{`chains.ethereum.rpc: found no backend, expected at least one`}},
		{"backend twice", "chains: { ethereum: { id: 1, rpc: [https://a.example.com/k, https://a.example.com/k, https://b.example.org] } }\n", []string{`chains.ethereum.rpc: found element 1 a second time (https://a.example.com/...), expected each backend once`}},
		{"bad scheme", "chains: { ethereum: { id: 1, rpc: ['ftp://a.example.com/KEY'] } }\n", []string{`chains.ethereum.rpc[0]: found "ftp://a.example.com/...", expected a URL`}},
		{"chain's name", "chains: { Main Net: { id: 1, rpc: [/run/geth.ipc], trust: single } }\n", []string{`found this name of a chain, expected letters`}},
		{"unknown chain", "names:\n  - zone: eth\n    chain: base\n", []string{`dens.yaml:3: names[0].chain: found "base", expected a key of chains: ethereum`}},
		{"default names without their chain", "chains:\n  base:\n    id: 8453\n" + rpc3, []string{`names[0].chain: found "ethereum" (the default), expected a key of chains: base`}},
		{"registry elsewhere", "chains:\n  base:\n    id: 8453\n" + rpc3 + "names:\n  - { zone: eth, chain: base }\n", []string{`dens.yaml:6: names[0].registry: found no registry, expected its address`}},
		{"checksum", "names:\n  - { zone: eth, chain: ethereum, registry: '0x00000000000C2E074eC69A0dFb2997BA6C7d2e1E' }\n", []string{`names[0].registry: found "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1E", expected an address whose capitals are its checksum (EIP-55)`}},
		{"short contract", "names:\n  - { zone: eth, chain: ethereum, registry: '0x1234' }\n", []string{`names[0].registry: found "0x1234", expected an address: 0x and 40 hex digits`}},
		{"zone twice", "names:\n  - { zone: eth, chain: ethereum }\n  - { zone: ETH., chain: ethereum }\n", []string{`dens.yaml:3: names[1].zone: found "eth", expected a zone that names[0].zone does not have`}},
		{"zone on the chain and forwarded", "resolve:\n  zones:\n    - { zone: eth, forward: [10.0.0.53] }\n", []string{`dens.yaml:3: resolve.zones[0].zone: found "eth", expected a zone that names[0].zone does not have`}},
		{"ICANN", "names:\n  - { zone: com, chain: ethereum }\n", []string{`names[0].zone: found "com", expected a zone that is not below the delegated top-level domain com, or override_icann: true`}},
		{"ICANN by wildcard rule", "names:\n  - { zone: x.ck, chain: ethereum }\n", []string{`top-level domain ck`}},
		{"no names of names", "names:\n  - { chain: ethereum }\n", []string{`names[0].zone: found no zone`}},
		{"U-label", "names:\n  - { zone: bücher.eth, chain: ethereum }\n", []string{`expected a domain name such as corp.example, other alphabets as A-labels`}},
		{"gateway of the other family", "names:\n  - { zone: eth, chain: ethereum, gateways: { a: ['::1'] } }\n", []string{`names[0].gateways.a[0]: found "::1", expected an IPv4 address`}},
		{"own zone by halves", "resolve:\n  zones:\n    - { zone: corp.example }\n", []string{`dens.yaml:3: resolve.zones[0]: found a zone without its zone key or without servers, expected a zone and either forward or stub`}},
		{"servers without zone", "resolve: { zones: [{ stub: [10.0.0.54] }] }\n", []string{`resolve.zones[0]: found a zone without its zone key or without servers`}},
		{"forward and stub", "resolve: { zones: [{ zone: a.example, stub: [10.0.0.54], forward: [10.0.0.53] }] }\n", []string{`resolve.zones[0]: found a zone with both forward and stub, expected one of them`}},
		{"stub by name", "resolve:\n  zones:\n    - zone: a.example\n      stub: [ns.a.example]\n", []string{`dens.yaml:4: resolve.zones[0].stub[0]: found "ns.a.example", expected the IP address of a plain DNS server`}},
		{"stub over TLS", "resolve: { zones: [{ zone: a.example, stub: ['tls://192.0.2.1'] }] }\n", []string{`resolve.zones[0].stub[0]: found "tls://192.0.2.1", expected the IP address of a plain DNS server`}},
		{"stub is dens itself", "resolve: { zones: [{ zone: a.example, stub: [127.0.0.1] }] }\n", []string{`resolve.zones[0].stub[0]: found 127.0.0.1:53, where dens itself listens, expected another server`}},
		{"validate by word", "resolve: { zones: [{ zone: a.example, stub: [192.0.2.1], validate: maybe }] }\n", []string{`resolve.zones[0].validate: found "maybe", expected true or false`}},
		{"unknown mode", "resolve:\n  mode: iterative\n", []string{`dens.yaml:2: resolve.mode: found "iterative", expected recursive or forward`}},
		{"recursive and forward", "resolve:\n  mode: recursive\n  forward: [192.0.2.1, 192.0.2.2]\n", []string{`dens.yaml:3: resolve.forward: found 2 upstream servers with mode: recursive, expected none: give them as fallback`}},
		{"forward to nobody", "resolve:\n  mode: forward\n", []string{`resolve.forward: found no upstream server, expected at least one with mode: forward`}},
		{"plain fallback", "resolve: { fallback: [192.0.2.1, 'tcp://192.0.2.1', 'tls://192.0.2.1'] }\n", []string{
			`resolve.fallback[0]: found "192.0.2.1", expected a server over TLS or HTTPS`, `resolve.fallback[1]: found "tcp://192.0.2.1", expected a server over TLS or HTTPS`}},
		{"fallback by name", "resolve:\n  fallback: ['tls://192.0.2.1', 'https://dns.example/dns-query']\n", []string{`dens.yaml:2: resolve.bootstrap: found no address, expected at least one, since a fallback server has a host name`}},
		{"fallback is dens itself", "listen: { dot: ['127.0.0.1:853'] }\ntls: { cert: a, key: b }\nresolve: { fallback: ['tls://127.0.0.1'] }\n", []string{`resolve.fallback: found tls://127.0.0.1 (element 0), where dens itself listens`}},
		{"keys that forward has no use for", "resolve:\n  mode: forward\n  forward: [192.0.2.1]\n  fallback: ['tls://192.0.2.1']\n  root_hints: a\n  local_root: { file: b }\n", []string{
			`dens.yaml:4: resolve.fallback: found fallback with mode: forward, expected mode: recursive (then without forward), or no fallback`,
			`dens.yaml:5: resolve.root_hints: found root_hints with mode: forward, expected mode: recursive`,
			`dens.yaml:6: resolve.local_root: found local_root with mode: forward, expected mode: recursive`}},
		{"fallback beside forward, no mode", "resolve:\n  forward: [192.0.2.1]\n  fallback: ['tls://192.0.2.1']\n", []string{
			`dens.yaml:3: resolve.fallback: found fallback with forward and without a mode, which means mode: forward, expected mode: recursive`}},
		{"no family", "resolve:\n  ipv4: false\n  ipv6: false\n", []string{`dens.yaml:2: resolve.ipv4: found both ipv4 and ipv6 off, expected at least one of them on`}},
		{"negative anchor", "resolve: { negative_anchors: [a.example, 'a b'] }\n", []string{`resolve.negative_anchors[1]: found "a b", expected a domain name`}},
		{"private zones", "resolve: { private: { refuse: 1, zones: corp.example } }\n", []string{`resolve.private.refuse: found "1", expected true or false`, `resolve.private.zones: found "corp.example", expected a list`}},
		{"root zone from nowhere", "resolve: { local_root: { axfr: [a.root-servers.net, '127.0.0.1'], files: x } }\n", []string{
			`resolve.local_root.axfr[0]: found "a.root-servers.net", expected the IP address`, `resolve.local_root.files: found an unknown key, expected "file"`}},
		{"root zone from dens itself", "resolve: { local_root: { axfr: [192.0.2.1, '127.0.0.1'] } }\n", []string{`resolve.local_root.axfr[1]: found 127.0.0.1:53, where dens itself listens`}},
		{"a cache of nothing", "resolve:\n  local_root:\n    file: a\n    cache: b\n", []string{`dens.yaml:4: resolve.local_root.cache: found a cache without axfr, expected servers to transfer`}},
		{"anchors in a list", "resolve: { trust_anchor: [a], anchor_state: }\n", []string{`resolve.trust_anchor: found a list, expected the path of a file`, `resolve.anchor_state: found nothing, expected the path of a file`}},
		{"a path by variable", "resolve: { anchor_state: '${KEY}/anchors' }\n", []string{`resolve.anchor_state: found "${KEY}/anchors", expected the path of a file without a variable: this value is shown`}},
		{"bad upstream", "resolve: { forward: [dns.example] }\n", []string{`resolve.forward[0]: found "dns.example", expected an IP address`}},
		{"upstream scheme", "resolve: { forward: ['quic://192.0.2.1'] }\n", []string{`expected an upstream: 192.0.2.53`}},
		{"forwards to itself", "resolve: { forward: [127.0.0.1] }\n", []string{`resolve.forward: found 127.0.0.1 (element 0), where dens itself listens, expected another server`}},
		{"forwards to itself by any", "listen: { dns: [':53'] }\nresolve: { zones: [{ zone: a.example, forward: [127.0.0.53] }] }\n", []string{`resolve.zones[0].forward: found 127.0.0.53 (element 0)`}},
		{"nobody resolves host names", "resolve: { forward: ['tls://dns.example'] }\n", []string{`resolve.bootstrap: found no address`}},
		{"host names of a zone's upstreams alone", "chains: { own: { id: 1, trust: single, rpc: [http://127.0.0.1:8545] } }\nnames: []\nresolve: { forward: [], zones: [{ zone: a.example, forward: ['tls://dns.example'] }] }\n", []string{`dens.yaml:3: resolve.bootstrap: found no address`}},
		{"host names of backends alone", "resolve: { forward: [] }\n", []string{`resolve.bootstrap: found no address`}},
		{"bootstrap by name", "resolve: { bootstrap: [dns.example] }\n", []string{`resolve.bootstrap[0]: found "dns.example", expected the IP address of a plain DNS server`}},
		{"bootstrap is dens itself", "resolve: { bootstrap: ['[::1]:53'] }\n", []string{`resolve.bootstrap[0]: found [::1]:53, where dens itself listens`}},
		{"operator of two words", "chains: { a: { id: 1, trust: single, rpc: [{ url: 'https://a.example.com', operator: 'a b' }] } }\nnames: []\n", []string{`chains.a.rpc[0].operator: found "a b", expected a name of letters`}},
		{"backend without URL", "chains: { a: { id: 1, trust: single, rpc: [{ rate: 5 }] } }\nnames: []\n", []string{`chains.a.rpc[0]: found no url, expected a url`}},
		{"backend's port", "chains: { a: { id: 1, trust: single, rpc: ['https://a.example.com:99999/KEY'] } }\nnames: []\n", []string{`chains.a.rpc[0]: found "https://a.example.com:99999/...", expected a URL`}},
		{"socket's path", "chains: { a: { id: 1, trust: single, rpc: [/run/] } }\nnames: []\n", []string{`chains.a.rpc[0]: found "/run/", expected the path of an IPC socket`}},
		{"list for a word", "log: { level: [info], format: { a: b } }\n", []string{`log.level: found a list, expected debug or info`, `log.format: found a mapping, expected text or json`}},
		{"long text", "log: { level: " + strings.Repeat("ä", 60) + " }\n", []string{strings.Repeat("ä", 40) + `...", expected debug`}},
		{"chaos too long", "chaos: { version: " + strings.Repeat("v", 256) + " }\n", []string{`chaos.version: found 256 bytes, expected at most 255`}},
		{"too many elements", "access: { allow: [" + strings.Repeat("any,", 1001) + "] }\n", []string{`access.allow: found 1001 elements, expected at most 1000`}},
		{"alias that is ICANN's", "names:\n  - { zone: eth, chain: ethereum, aliases: [org] }\n", []string{`names[0].aliases[0]: found "org", expected an alias`}},
		{"a key that is a list", "log: { [a]: b }\n", []string{`log: found a key that is no word, expected a word`}},
		{"variable missing", "chains: { ethereum: { id: 1, rpc: ['https://a.example.com/${NONE}'] } }\n", []string{`dens.yaml:1: chains.ethereum.rpc[0]: found ${NONE}, which is not set, expected an environment variable of that name`}},
		{"variable unclosed", "tls: { cert: '${NONE' }\n", []string{`tls.cert: found "${NONE", expected ${NAME} for a variable, or $${ for ${ itself`}},
		{"variable in what is shown", "names:\n  - { zone: '${KEY}', chain: ethereum }\n", []string{`names[0].zone: found "${KEY}", expected a domain name`}},
		{"variable for a host", "chains: { ethereum: { id: 1, trust: single, rpc: ['${KEY}'] } }\n", []string{`chains.ethereum.rpc[0]: found a host or path that comes from a variable, expected an operator key`}},
		{"variable in a broken value", "cache: { stale: '${KEY}' }\n", []string{`cache.stale: found "${KEY}", expected a duration`}},
		{"anchor", "log: &a { level: info }\ncache: {}\n", []string{`dens.yaml:1: found anchor "&a", expected no anchor`}},
		{"aliases that grow", "log:\n  - &a [x, x]\n  - &b [*a, *a]\n  - &c [*b, *b]\n", []string{`dens.yaml:2: found anchor "&a", expected no anchor`}},
		{"alias of nothing", "log: *a\n", []string{`broken YAML (unknown anchor 'a' referenced)`}},
		{"tag", "log: !!map {}\n", []string{`dens.yaml:1: found tag "!!map", expected no tag`}},
		{"nested", "log: " + strings.Repeat("[", 30) + strings.Repeat("]", 30) + "\n", []string{`nesting deeper than 16`}},
		{"nested deeper than the library goes", strings.Repeat("[", 20000), []string{`dens.yaml:1: found broken YAML`}},
		{"syntax", "listen:\n  dns: [\n", []string{`broken YAML`}},
		{"tab", "listen:\n\tdns: []\n", []string{`dens.yaml:2: found broken YAML (found character that cannot start any token)`}},
		{"not UTF-8", "log: {}\n# \xff\n", []string{`dens.yaml:2: found byte 0xff, expected UTF-8 text`}},
		{"control character", "log: {}\n# \x00\n", []string{`dens.yaml:2: found control character 0x00`}},
		{"two documents", "log: {}\n---\nlog: {}\n", []string{`found a second document, expected one document`}},
		{"a scalar", "hello\n", []string{`dens.yaml:1: found "hello", expected a mapping of keys`}},
		{"too large", strings.Repeat("#", 1<<20+1), []string{`dens.yaml:1: found more than 1048576 bytes, expected a smaller file`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantProblems(t, tt.text, tt.want)
		})
	}
}

// wantProblems has a file be refused for these problems and no others.
func wantProblems(t *testing.T, text string, want []string) {
	t.Helper()
	_, err := Parse("dens.yaml", []byte(text), environment("KEY", "https://opensesame.example.com/opensesame"))
	if err == nil {
		t.Fatal("no problem was found")
	}
	for _, want := range want {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got:\n%v\nwant in it:\n%s", err, want)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(want) {
		t.Errorf("%d problems, want %d:\n%v", lines, len(want), err)
	}
	var p *Problem
	if !errors.As(err, &p) || p.Line < 1 || p.Found == "" || p.Expected == "" {
		t.Errorf("not a whole problem: %+v", p)
	}
	if strings.Contains(err.Error(), "opensesame") {
		t.Errorf("the error shows what a variable holds: %v", err)
	}
}

func TestManyProblemsAreBounded(t *testing.T) {
	_, err := Parse("dens.yaml", []byte("listen: { dns: ["+strings.Repeat("x,", 900)+"] }\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "and 850 more problems") {
		t.Errorf("got %.200v", err)
	}
}

// TestWhatIsEnough has files that look short of something and are not.
func TestWhatIsEnough(t *testing.T) {
	for name, text := range map[string]string{
		"only on-chain names, own node":     "chains: { own: { id: 1, trust: single, rpc: [/run/geth.ipc, 'http://127.0.0.1:8545', 'unix:///run/x.ipc'] } }\nnames: [{ zone: eth, chain: own }]\nresolve: { forward: [] }\n",
		"upstream by name, with bootstrap":  "resolve: { forward: ['tls://dns.example'], bootstrap: [192.0.2.53, '[2001:db8::1]:5353'] }\n",
		"single ignores quorum":             "chains: { ethereum: { id: 1, trust: single, quorum: 5, rpc: [https://a.example.com] } }\n",
		"ICANN, on purpose":                 "names: [{ zone: box, chain: ethereum, override_icann: true }]\n",
		"a name below an alias's domain":    "names: [{ zone: base.eth, chain: ethereum, ttl: 1m }, { zone: eth, chain: ethereum }]\n",
		"addresses, networks and words":     "access: { allow: [192.0.2.1, '2001:db8::/32', any, '::ffff:10.0.0.1'] }\n",
		"ports that the system picks":       "listen: { dns: ['127.0.0.1:0', '127.0.0.1:0'], http: '127.0.0.1:0' }\n",
		"addresses without port, all of it": "listen: { dns: [127.0.0.1, '::1', ':5353'], http: 127.0.0.1 }\n",
		"recursive without IP addresses":    "resolve: { zones: [{ zone: a.example, forward: ['tls://dns.example'] }] }\n",
		"recursive with an empty list":      "resolve: { mode: recursive, forward: [] }\n",
		"forward to nobody, said so":        "chains: { own: { id: 1, trust: single, rpc: [/run/geth.ipc] } }\nnames: []\nresolve: { mode: forward, forward: [] }\n",
		"fallback by name, with bootstrap":  "resolve: { fallback: ['https://dns.example/dns-query'], bootstrap: [192.0.2.53] }\n",
		"fallback by address":               "resolve: { fallback: ['tls://[2001:db8::1]#dns.example'] }\n",
		"one family":                        "resolve: { ipv6: false }\n",
		"all of recursion":                  "resolve: { mode: recursive, root_hints: a, trust_anchor: b, anchor_state: c, validate: true, negative_anchors: [a.example], local_root: { file: d, cache: e, axfr: [192.0.2.1, '[2001:db8::1]:5353'] }, private: { refuse: true, zones: [corp.example] }, zones: [{ zone: stub.example, stub: [10.0.0.54, '10.0.0.55:5353'], validate: true }] }\n",
		"validating what forwarders say":    "resolve: { forward: [192.0.2.1], validate: true, trust_anchor: b, negative_anchors: [a.example] }\n",
		"off":                               "listen: { http: '' }\ncache: { stale: 0 }\nchains: { ethereum: { id: 1, max_head_age: 0, trust: single, rpc: [https://a.example.com] } }\n",
	} {
		if _, err := Parse("dens.yaml", []byte(text), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDefaultsOfWhatAFileGives(t *testing.T) {
	cfg, err := Parse("dens.yaml", []byte("listen: { dns: [127.0.0.1, ':5353'] }\nchains: { own: { id: 1, trust: single, rpc: [/run/geth.ipc] } }\nnames: [{ zone: Eth, chain: own }]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, c := cfg.Names[0], cfg.Chains["own"]
	if n.Zone != "eth." || n.System != "ens" || n.Registry != mainnetRegistry || !n.UniversalResolver.IsZero() || n.TTL != 300*time.Second {
		t.Errorf("name: %+v", n)
	}
	if len(cfg.Chains) != 1 || c.MaxHeadAge != 5*time.Minute || c.BlockTime != 12*time.Second || c.CCIP.Timeout != 5*time.Second || c.CCIP.AllowHTTP || c.CCIP.AllowPrivate {
		t.Errorf("chain: %+v", c)
	}
	if got := fmt.Sprint(cfg.Listen.DNS, cfg.Listen.HTTP); got != "[127.0.0.1:53 [::]:5353] 127.0.0.1:8053" {
		t.Errorf("listen: %s", got)
	}
}

// TestModes: what a file means that says all, some or nothing of how to resolve.
func TestModes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "recursive true 0",
		"resolve: {}":                       "recursive true 0",
		"resolve: { validate: false }":      "recursive false 0",
		"resolve: { timeout: 3s }":          "recursive true 0",
		"resolve: { forward: [192.0.2.1] }": "forward false 1",
		"resolve: { forward: [192.0.2.1], validate: true }":   "forward true 1",
		"resolve: { mode: forward, forward: [192.0.2.1] }":    "forward false 1",
		"resolve: { mode: recursive, forward: [] }":           "recursive true 0",
		"resolve: { zones: [{ zone: a.b, stub: [10.0.0.1]}]}": "recursive true 0",
	} {
		cfg, err := Parse("dens.yaml", []byte(text), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r := cfg.Resolve
		if got := fmt.Sprint(r.Mode, " ", r.Validate, " ", len(r.Forward)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestUsesAnchors(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                  true,
		"resolve: { validate: false }":      false,
		"resolve: { forward: [192.0.2.1] }": false,
		"resolve: { forward: [192.0.2.1], trust_anchor: a }":                                              true,
		"resolve: { validate: false, zones: [{ zone: a.example, stub: [192.0.2.1] }] }":                   false,
		"resolve: { validate: false, zones: [{ zone: a.example, stub: [192.0.2.1], validate: true }] }":   true,
		"resolve: { forward: [192.0.2.1], zones: [{ zone: a.b, forward: [192.0.2.1], validate: true }] }": true,
	} {
		cfg, err := Parse("dens.yaml", []byte(text), nil)
		if err != nil || cfg.Resolve.UsesAnchors() != want {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

func TestUpstreams(t *testing.T) {
	tests := []struct{ in, scheme, host, server, shown string }{
		{"192.0.2.53", "udp", "192.0.2.53:53", "", "192.0.2.53"},
		{"192.0.2.54:5300", "udp", "192.0.2.54:5300", "", "192.0.2.54:5300"},
		{"2001:db8::1", "udp", "2001:db8::1:53", "", "2001:db8::1"},
		{"[2001:db8::1]:5353", "udp", "2001:db8::1:5353", "", "[2001:db8::1]:5353"},
		{"udp://192.0.2.53", "udp", "192.0.2.53:53", "", "udp://192.0.2.53"},
		{"tcp://[2001:db8::1]", "tcp", "2001:db8::1:53", "", "tcp://[2001:db8::1]"},
		{"tls://192.0.2.53", "tls", "192.0.2.53:853", "192.0.2.53", "tls://192.0.2.53"},
		{"tls://[2001:db8::1]:8530#dns.example", "tls", "2001:db8::1:8530", "dns.example", "tls://[2001:db8::1]:8530#dns.example"},
		{"tls://dns.example:8530", "tls", "dns.example:8530", "dns.example", "tls://dns.example:8530"},
		{"https://dns.example/dns-query", "https", "dns.example:443", "dns.example", "https://dns.example/dns-query"},
		{"https://dns.example", "https", "dns.example:443", "dns.example", "https://dns.example"},
		{"https://192.0.2.53:8443/k3y/dns?x=y#dns.example", "https", "192.0.2.53:8443", "dns.example", "https://192.0.2.53:8443/..."},
	}
	for _, tt := range tests {
		u, err := ParseUpstream(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if got := fmt.Sprintf("%s:%d", u.Host, u.Port); u.Scheme != tt.scheme || got != tt.host || u.ServerName != tt.server || u.String() != tt.shown {
			t.Errorf("%s: got %s %s %s, shown %s", tt.in, u.Scheme, got, u.ServerName, u)
		}
		if u.Scheme == "https" && strings.Contains(u.URL, "#") {
			t.Errorf("%s: the URL keeps its fragment: %s", tt.in, u.URL)
		}
	}
	for _, bad := range []string{"", "dns.example", "udp://dns.example", "192.0.2.53:0", "192.0.2.53:x", "192.0.2.256", "tls://", "tls://a b", "tls://u@dns.example", "tls://192.0.2.53/x", "tls://192.0.2.53#", "https://", "https://u:p@dns.example/", "https://dns.example:0/", "https://192.0.2.999/", "http://dns.example/"} {
		if u, err := ParseUpstream(bad); err == nil {
			t.Errorf("%q was taken as %+v (%s, %d)", bad, u, u.Host, u.Port)
		}
	}
}

func TestOperators(t *testing.T) {
	tests := map[string]string{
		"ethereum-rpc.publicnode.com": "publicnode.com",
		"a.b.example.co.uk":           "example.co.uk",
		"x.quiknode.pro":              "quiknode.pro",
		"one.herokuapp.com":           "herokuapp.com", // a private suffix: its customers share an operator
		"two.github.io":               "github.io",
		"localhost":                   "localhost",
		"node.cluster.local":          "cluster.local",
		"192.0.2.1":                   "192.0.2.1",
		"2001:db8::1":                 "2001:db8::1",
		"com":                         "com",
	}
	for host, want := range tests {
		if got := operatorOf(host); got != want {
			t.Errorf("operatorOf(%s) = %s, want %s", host, got, want)
		}
	}
}

func TestExpansion(t *testing.T) {
	env := environment("A", "one", "B", "${A}", "EMPTY", "")
	tests := map[string]string{
		"${A}":       "one",
		"x${A}y${A}": "xoneyone",
		"${B}":       "${A}", // what a variable holds is taken as it is
		"$${A}":      "${A}",
		"$$${A}":     "$${A}",
		"$A $ {A}":   "$A $ {A}",
		"[${EMPTY}]": "[]",
	}
	for in, want := range tests {
		if got, _, found, problem := expand(in, env); got != want || problem != "" {
			t.Errorf("expand(%q) = %q (%s, %s), want %q", in, got, found, problem, want)
		}
	}
	for _, bad := range []string{"${", "${}", "${a b}", "${1}", "${NONE}"} {
		if _, _, _, problem := expand(bad, env); problem == "" {
			t.Errorf("expand(%q) found nothing wrong", bad)
		}
	}
}

// TestSecretsDoNotShow puts a secret wherever a variable or a URL may carry one, and prints all.
func TestSecretsDoNotShow(t *testing.T) {
	const text = `
listen: { doh: ["127.0.0.1:443"] }
tls: { cert: "/run/${S}/a.pem", key: "${S}" }
chains:
  ethereum:
    id: 1
    rpc:
      - "https://user:s3cr3t@a.example.com/v2/s3cr3t?k=s3cr3t"
      - "wss://${S}:${S}@b.example.net/${S}"
      - { url: "https://${S}.example.org/", operator: c }
      - { url: "/run/${S}.ipc", operator: d }
resolve:
  forward: ["https://dns.example/s3cr3t", "tls://${S}.dns.example", "https://dns.example/${S}/q", "192.0.2.1"]
  zones: [{ zone: corp.example, forward: ["tls://${S}.corp.example"] }]
chaos: { version: "${S}", hostname: "x${S}" }
`
	cfg, err := Parse("dens.yaml", []byte(text), environment("S", "s3cr3t"))
	if err != nil {
		t.Fatal(err)
	}
	showsNothing(t, cfg, "s3cr3t")
	if cfg.Chaos.Version.Reveal() != "s3cr3t" || cfg.Resolve.Forward[1].Host != "s3cr3t.dns.example" || cfg.Chains["ethereum"].RPC[3].URL != "/run/s3cr3t.ipc" {
		t.Error("the variables did not reach the values")
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "rpc", cfg.Chains["ethereum"].RPC[1], "up", cfg.Resolve.Forward[1], "s", cfg.TLS.Key, "cfg", cfg)
	if strings.Contains(log.String(), "s3cr3t") {
		t.Errorf("the log shows a secret: %s", log.String())
	}
}

// TestCookieSecretsDoNotShow: these show neither from a variable nor as they stand in the file.
func TestCookieSecretsDoNotShow(t *testing.T) {
	const inFile, inVariable = "e5e973e5a6b2a43f48e7dc849e37bfcf", "445536BCD2513298075A5D379663C962"
	cfg, err := Parse("dens.yaml", []byte("access: { cookie_secrets: ["+inFile+", \"${S}\"] }\n"), environment("S", inVariable))
	if err != nil {
		t.Fatal(err)
	}
	list := cfg.Access.CookieSecrets
	if len(list) != 2 || list[0].Reveal() != inFile || list[1].Reveal() != inVariable {
		t.Errorf("the secrets are %v", list)
	}
	showsNothing(t, cfg, inFile)
	showsNothing(t, cfg, inVariable)
}

func TestHiddenHosts(t *testing.T) {
	env := func(string) (string, bool) { return "https://tenant.example/v2", true }
	rpc := func(entry string) RPC {
		t.Helper()
		cfg, err := Parse("f.yaml", []byte("chains: { ethereum: { id: 1, trust: single, rpc: ["+entry+"] } }"), env)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Chains["ethereum"].RPC[0]
	}
	for entry, want := range map[string]bool{
		`"https://rpc.example.org/v2"`:         false,
		`/run/geth.ipc`:                        false,
		`{ url: "${URL}", operator: example }`: true,
		`{ url: "https://rpc.example.org/?key=${KEY}", operator: other }`: false,
	} {
		if got := rpc(entry).Hidden(); got != want {
			t.Errorf("%s: Hidden() is %v", entry, got)
		}
	}
}
