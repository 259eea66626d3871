package beacon

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// address is an endpoint's URL, and the parts of it that must not be shown.
type address struct {
	url     *url.URL
	secrets []string // longest first
}

// parseAddress reads an endpoint's URL. Its errors do not repeat it.
func parseAddress(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, errors.New("the URL cannot be parsed")
	}
	u.Fragment, u.RawFragment = "", ""
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return address{}, fmt.Errorf("the URL's scheme %q is not one of https, http", clean(u.Scheme))
	case u.Hostname() == "" || u.Opaque != "":
		return address{}, errors.New("the URL has no host")
	}
	return address{url: u, secrets: secretsOf(u, raw)}, nil
}

// showHost takes the host off what must not be shown: the endpoint is called by it.
func (a *address) showHost() {
	shown := []string{a.url.Host, a.url.Hostname()}
	a.secrets = slices.DeleteFunc(a.secrets, func(s string) bool {
		return slices.ContainsFunc(shown, func(part string) bool {
			return strings.EqualFold(s, part) || strings.EqualFold(s, url.QueryEscape(part)) || strings.EqualFold(s, url.PathEscape(part))
		})
	})
}

// secretsOf lists what may be a key: everything but short path segments ("eth", "v2"), which are ordinary
// words. The host is among them, until showHost: who names an endpoint
// may want to hide it.
func secretsOf(u *url.URL, raw string) []string {
	list := []string{raw, u.String(), u.Host, u.Hostname(), u.RawQuery, u.User.String(), u.User.Username()}
	if password, ok := u.User.Password(); ok {
		list = append(list, password)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= 6 {
			list = append(list, segment)
		}
	}
	for _, values := range u.Query() {
		list = append(list, values...)
	}
	for _, s := range slices.Clone(list) {
		list = append(list, url.QueryEscape(s), url.PathEscape(s), strings.ToLower(s))
	}
	list = slices.DeleteFunc(list, func(s string) bool { return len(s) < 3 })
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return slices.Compact(list)
}

// maxForeign bounds how much of a foreign text is looked at, in bytes.
const maxForeign = 4 << 10

// safe makes a text that others wrote fit to be shown. Secrets go before it is cut, which could leave half
// of one, and after what is invisible, which could part one.
func (a address) safe(text string) string {
	return cut(a.masked(text), maxText)
}

// masked is safe without the bound.
func (a address) masked(text string) string {
	text = printable(text)
	for _, s := range a.secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}

// clean makes a text that holds no secrets fit to be shown.
func clean(text string) string { return cut(printable(text), maxText) }

// printable makes a text one line without anything invisible.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff:
			return -1 // controls, and what is invisible or turns the direction of writing
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), maxForeign)], ""))
}

// Greatest lengths of foreign texts in an error, in bytes.
const (
	maxText = 160
	maxDial = 100 // of why nobody was reached: a look-up that failed lists all servers that were asked
)

func cut(text string, most int) string {
	text = strings.TrimSpace(text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most-3], "") + "..."
	}
	return text
}
