package intake

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/dchest/siphash"

	"dens/internal/wire"
)

const (
	cookieVersion  = 1                // RFC 9018 section 4.1
	cookieLife     = time.Hour        // RFC 9018 section 4.3, and the next two
	cookieFuture   = 5 * time.Minute  // how far clocks of servers that share a secret may differ
	cookieRenewal  = 30 * time.Minute // the age at which a valid cookie is replaced
	cookieRotation = 24 * time.Hour   // the life of a secret that was drawn here
)

// CookieSecret keys the hash of server cookies.
type CookieSecret [16]byte

// Cookies makes and checks server cookies of version 1 (RFC 9018), which prove that a client's address is
// its own. It is safe for concurrent use and keeps nothing of clients.
type Cookies struct {
	keys atomic.Pointer[cookieKeys]
}

// cookieKeys never change; a new one takes their place.
type cookieKeys struct {
	list  []cookieKey // the first makes cookies, all of them check
	until time.Time   // when the first is replaced by a new one; the zero time: never
}

type cookieKey struct{ k0, k1 uint64 }

// NewCookies returns Cookies of the given secrets: the first makes cookies, and what any of them has made is
// valid, so that servers which share them can change them one after the other (RFC 9018 section 5). Without
// secrets a random one is drawn each day; that of the day before stays valid.
func NewCookies(secrets ...CookieSecret) *Cookies {
	c := new(Cookies)
	keys := new(cookieKeys)
	for _, s := range secrets {
		keys.list = append(keys.list, s.key())
	}
	if len(secrets) == 0 {
		keys.list, keys.until = []cookieKey{randomKey()}, time.Now().Add(cookieRotation)
	}
	c.keys.Store(keys)
	return c
}

func (s CookieSecret) key() cookieKey {
	return cookieKey{binary.LittleEndian.Uint64(s[:]), binary.LittleEndian.Uint64(s[8:])}
}

func randomKey() cookieKey {
	var s CookieSecret
	rand.Read(s[:]) //nolint:errcheck // it never fails
	return s.key()
}

// current returns the keys in force, and draws a new one when it is time.
func (c *Cookies) current(now time.Time) *cookieKeys {
	keys := c.keys.Load()
	if keys.until.IsZero() || now.Before(keys.until) {
		return keys
	}
	next := &cookieKeys{list: []cookieKey{randomKey(), keys.list[0]}, until: now.Add(cookieRotation)}
	if c.keys.CompareAndSwap(keys, next) {
		return next
	}
	return c.keys.Load() // another request was first
}

// judge says in q.From.Cookie what the cookie of a request is worth, and which one goes into the reply. A nil
// Cookies finds none.
func (c *Cookies) judge(q *wire.Query) {
	q.From.Cookie.State = wire.CookieNone
	if c == nil {
		return
	}
	if sent := q.Cookie(q.Msg); len(sent) > 0 {
		q.From.Cookie = c.current(q.Start).reply(sent, q.From.Addr.Addr().Unmap(), uint32(q.Start.Unix()))
	}
}

// reply makes the cookie for a client that sent one. A valid one comes back as it is while it is young.
func (k *cookieKeys) reply(sent []byte, client netip.Addr, now uint32) (out wire.Cookie) {
	server := sent[wire.ClientCookieLen:]
	out.State = wire.CookieClient
	if len(server) > 0 {
		out.State = wire.CookieBad
	}
	if len(server) == wire.CookieLen-wire.ClientCookieLen && server[0] == cookieVersion && timely(server, now) {
		for i, key := range k.list {
			if key.hash(sent, client) != binary.LittleEndian.Uint64(server[8:]) {
				continue
			}
			out.State = wire.CookieValid
			if i == 0 && age(server, now) <= cookieRenewal {
				copy(out.Value[:], sent)
				return out
			}
			break
		}
	}
	copy(out.Value[:], sent[:wire.ClientCookieLen])
	fresh := out.Value[wire.ClientCookieLen:]
	fresh[0] = cookieVersion
	binary.BigEndian.PutUint32(fresh[4:], now)
	binary.LittleEndian.PutUint64(fresh[8:], k.list[0].hash(out.Value[:], client))
	return out
}

// timely reports whether a server cookie was made within the time for which it is valid.
func timely(server []byte, now uint32) bool {
	a := age(server, now)
	return -cookieFuture <= a && a <= cookieLife
}

// age is how old a server cookie is. Times are compared as serial numbers (RFC 1982), since 32 bits wrap in
// 2106.
func age(server []byte, now uint32) time.Duration {
	return time.Duration(int32(now-binary.BigEndian.Uint32(server[4:]))) * time.Second
}

// hash is that of RFC 9018 section 4.4: over the client cookie, all of the server cookie that stands before the
// hash, and the client's address. Reserved octets count as they are (section 4.2).
func (k cookieKey) hash(cookie []byte, client netip.Addr) uint64 {
	var buf [wire.ClientCookieLen + 8 + 16]byte
	in := append(buf[:0], cookie[:wire.ClientCookieLen+8]...)
	if client.Is4() {
		a := client.As4()
		in = append(in, a[:]...)
	} else {
		a := client.As16()
		in = append(in, a[:]...)
	}
	return siphash.Hash(k.k0, k.k1, in)
}
