// Package configs is dens's configuration as plain data: the built-in defaults, a YAML file laid over
// them, and a check that names file, line, key, what was found and what was expected, for all problems
// of a file at once.
//
// What environment variables hold never shows: values that may carry a secret print the text of the
// file, not what it expanded to, and URLs print without user, path and query.
package configs

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// Config is a whole configuration. The json tags are the keys of the YAML file.
type Config struct {
	Listen    Listen           `json:"listen"`
	TLS       TLS              `json:"tls"`
	DoH       DoH              `json:"doh"`
	Discovery Discovery        `json:"discovery"`
	Access    Access           `json:"access"`
	Cache     Cache            `json:"cache"`
	Chains    map[string]Chain `json:"chains"`
	Names     []Name           `json:"names"`
	Resolve   Resolve          `json:"resolve"`
	Chaos     Chaos            `json:"chaos"`
	Log       Log              `json:"log"`
	Places    Places           `json:"-"`
}

// Places says where a file has its keys, for errors about what their values name; of what is a default there
// is no place.
type Places struct {
	File  string
	Lines map[string]int // by key, such as "resolve.root_hints"; from 1
}

// Listen says where dens answers, and the bounds of its listeners.
type Listen struct {
	DNS  []netip.AddrPort `json:"dns"`  // UDP and TCP
	DoT  []netip.AddrPort `json:"dot"`  // DNS over TLS (RFC 7858)
	DoH  []netip.AddrPort `json:"doh"`  // DNS over HTTPS (RFC 8484): HTTP/2 by TCP, HTTP/3 by UDP
	DoQ  []netip.AddrPort `json:"doq"`  // DNS over QUIC (RFC 9250)
	HTTP netip.AddrPort   `json:"http"` // health, metrics, DoH without TLS; the zero value is off

	TCPIdle             time.Duration `json:"tcp_idle"`               // an idle connection is closed after this
	MaxTCPClients       int           `json:"max_tcp_clients"`        // connections in all
	MaxTCPPerClient     int           `json:"max_tcp_per_client"`     // connections from one client address
	MaxQueriesPerClient int           `json:"max_queries_per_client"` // queries of one connection under way at once
	MaxInFlight         int           `json:"max_in_flight"`          // queries under way in all
	UDPSize             int           `json:"udp_size"`               // largest UDP reply in bytes
}

// Encrypted reports whether there is a listener that needs a certificate.
func (l *Listen) Encrypted() bool { return len(l.DoT)+len(l.DoH)+len(l.DoQ) > 0 }

// TLS says where the certificate for DoT, DoH and DoQ comes from: from Cert and Key, from ACME, or SelfSigned.
type TLS struct {
	Cert       Secret `json:"cert"`
	Key        Secret `json:"key"`
	ACME       ACME   `json:"acme"`
	SelfSigned bool   `json:"self_signed"`
	// SelfSignedState is the path of the file that keeps the key of SelfSigned over a restart; "" is none.
	SelfSignedState Secret `json:"self_signed_state"`
	Name            string `json:"name"` // of the server, as Name.Zone; "": as the certificate says
}

// ACME says from whom a certificate is had (RFC 8555). It is off without Domains; to use it is to agree to the
// terms of the authority.
type ACME struct {
	Domains   []string       `json:"domains"` // names without the final dot, and IP addresses
	Email     string         `json:"email"`   // "" is none
	Directory string         `json:"directory"`
	Profile   string         `json:"profile"` // as the ACME server names it; "" is its default
	Cache     Secret         `json:"cache"`   // path of a directory
	CAFile    Secret         `json:"ca_file"` // path; "": the system's authorities vouch for the ACME server
	HTTP      netip.AddrPort `json:"http"`    // where HTTP-01 is answered; the zero value is off
}

// On reports whether a certificate is to be had.
func (a *ACME) On() bool { return len(a.Domains) > 0 }

// DoH says how DNS over HTTPS is served, also by Listen.HTTP.
type DoH struct {
	Path           string         `json:"path"`
	TrustedProxies []netip.Prefix `json:"trusted_proxies"` // whose word on who asks counts (X-Forwarded-For)
}

// Discovery says how clients are told of the encrypted listeners (RFC 9461, RFC 9462).
type Discovery struct {
	Enabled   bool         `json:"enabled"`
	Addresses []netip.Addr `json:"addresses"` // at which clients reach them; empty: those listened on
}

// Access says who may ask and how often.
type Access struct {
	Allow []netip.Prefix `json:"allow"` // words (loopback, private, any) are already spelled out
	Rate  float64        `json:"rate"`  // queries a second for each client prefix (/24, /56); 0 is off; absent: openRate when Open
	Burst int            `json:"burst"` // queries that a client prefix may send at once
	Slip  int            `json:"slip"`  // every n-th refused UDP query gets a truncated reply; 0 is none
	// Octets are what one query is good for in a reply by UDP; a longer reply counts as several queries.
	Octets int `json:"octets"`
	// UnprovenSize is that of the longest reply by UDP to a client without a valid cookie.
	UnprovenSize int `json:"unproven_size"`
	// CookieSecrets key the DNS cookies (RFC 9018), 32 hexadecimal digits each: the first makes them, all of
	// them check them. Empty: one is drawn each day.
	CookieSecrets []Secret `json:"cookie_secrets"`
}

// openRate is the rate of a server that anybody may ask, unless the file says otherwise: it must not be of use
// for flooding others.
const openRate = 200

// Open reports whether the whole world may ask, or so much of it that the server is of use to forgers of
// source addresses: an IPv4 prefix of up to 8 bits or an IPv6 prefix of up to 16 outside of private networks.
func (a *Access) Open() bool {
	return slices.ContainsFunc(a.Allow, func(p netip.Prefix) bool {
		most := 8
		if p.Addr().Is6() {
			most = 16
		}
		return p.Bits() <= most && !p.Addr().IsPrivate() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast()
	})
}

// Cache bounds the cache. Times are durations in the file ("15m").
type Cache struct {
	Entries     int           `json:"entries"`
	Size        int64         `json:"size"`         // octets that the entries take in all ("256MiB" in the file)
	Stale       time.Duration `json:"stale"`        // how long expired answers are kept (RFC 8767); 0 is off
	MaxTTL      time.Duration `json:"max_ttl"`      // upper bound of every TTL
	NegativeTTL time.Duration `json:"negative_ttl"` // upper bound for NXDOMAIN and NODATA (RFC 2308)
	FailureTTL  time.Duration `json:"failure_ttl"`  // how long a failure is remembered (RFC 9520)
	Prefetch    bool          `json:"prefetch"`     // renew popular entries before they expire
}

// CCIP bounds off-chain look-ups (EIP-3668).
type CCIP struct {
	AllowHTTP    bool          `json:"allow_http"`    // gateways without TLS
	AllowPrivate bool          `json:"allow_private"` // gateways at addresses that are not public
	Timeout      time.Duration `json:"timeout"`       // for one gateway's whole answer
}

// Name is a zone that a name system on a chain answers.
type Name struct {
	Zone              string        `json:"zone"`               // absolute and lower case, with the final dot: "eth."
	System            string        `json:"system"`             // "ens"
	Chain             string        `json:"chain"`              // a key of Config.Chains
	Registry          Address       `json:"registry"`           // the registry contract
	UniversalResolver Address       `json:"universal_resolver"` // the zero address: the registry is read directly
	Aliases           []string      `json:"aliases"`            // in Zone's form: "eth.limo."
	Gateways          Gateways      `json:"gateways"`
	TTL               time.Duration `json:"ttl"`            // for data that carries no TTL of its own
	NegativeTTL       time.Duration `json:"negative_ttl"`   // the SOA's minimum (RFC 2308)
	NS                []string      `json:"ns"`             // name servers of the zone, in Zone's form; empty: made up
	OverrideICANN     bool          `json:"override_icann"` // the zone may lie below a delegated top-level domain
}

// Gateways are the addresses at which content hashes are served over HTTP.
type Gateways struct {
	A    []netip.Addr `json:"a"`
	AAAA []netip.Addr `json:"aaaa"`
}

// Resolve says who answers names that are not on a chain. Its paths hold nothing of variables: they are shown
// where something is wrong with the files.
type Resolve struct {
	Mode            string           `json:"mode"`             // ModeRecursive or ModeForward
	Forward         []Upstream       `json:"forward"`          // with ModeForward; empty: other names are refused
	RootHints       Secret           `json:"root_hints"`       // path of a zone file of NS, A and AAAA; "": built in
	TrustAnchor     Secret           `json:"trust_anchor"`     // path of a zone file of DS and DNSKEY; "": built in
	AnchorState     Secret           `json:"anchor_state"`     // path of what RFC 5011 remembers; "": no roll-over
	Validate        bool             `json:"validate"`         // what comes from the root or from Forward, by DNSSEC
	NegativeAnchors []string         `json:"negative_anchors"` // zones that count as insecure (RFC 7646), as Name.Zone
	Fallback        []Upstream       `json:"fallback"`         // tls and https alone; with ModeRecursive, where port 53 is of no use
	LocalRoot       LocalRoot        `json:"local_root"`
	IPv4            bool             `json:"ipv4"` // authoritative servers are asked over IPv4
	IPv6            bool             `json:"ipv6"` // and over IPv6
	Private         Private          `json:"private"`
	Zones           []Zone           `json:"zones"`     // zones with servers of their own
	Bootstrap       []netip.AddrPort `json:"bootstrap"` // plain DNS servers for the host names of upstreams and, with ModeForward, backends; empty: the forwarders at IP addresses
	Timeout         time.Duration    `json:"timeout"`   // for one query in all
}

// The values of Resolve.Mode.
const (
	ModeRecursive = "recursive" // iteration from the root
	ModeForward   = "forward"   // upstream servers
)

// LocalRoot says where a copy of the root zone comes from (RFC 8806). It is off when File and AXFR are
// empty.
type LocalRoot struct {
	File  Secret           `json:"file"`  // path of the zone as a zone file, which dens only reads
	AXFR  []netip.AddrPort `json:"axfr"`  // servers that transfer it, in turn
	Cache Secret           `json:"cache"` // path of the file that keeps a transferred copy over a restart; "" is none
}

// On reports whether there is to be a local copy of the root zone.
func (l LocalRoot) On() bool { return l.File.Reveal() != "" || len(l.AXFR) > 0 }

// Private guards the machines of a private network against DNS rebinding: public names that have their
// addresses.
type Private struct {
	Refuse bool     `json:"refuse"` // answers with private addresses
	Zones  []string `json:"zones"`  // whose names may have them, as Name.Zone; those of Resolve.Zones may anyhow
}

// Zone is a zone with servers of its own: either Forward or Stub is not empty.
type Zone struct {
	Zone    string           `json:"zone"`    // as Name.Zone
	Forward []Upstream       `json:"forward"` // servers that resolve names
	Stub    []netip.AddrPort `json:"stub"`    // authoritative servers of the zone
	// Validate has answers validated from the anchors above the zone. An anchor for the zone or a zone
	// below it, in the file TrustAnchor, has the same effect there.
	Validate bool `json:"validate"`
}

// Chaos holds what version.bind, hostname.bind and the like (class CH, RFC 4892) answer; empty is REFUSED.
type Chaos struct {
	Version  Secret `json:"version"`
	Hostname Secret `json:"hostname"`
}

// Log says how dens logs.
type Log struct {
	Level  slog.Level `json:"level"`
	Format string     `json:"format"` // "text" or "json"
}
