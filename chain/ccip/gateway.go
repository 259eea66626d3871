package ccip

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"dens/chain"
)

var (
	errScheme    = errors.New("the URL is not https")
	errPrivate   = errors.New("the gateway is not at a public address")
	errURL       = errors.New("not a URL of a gateway")
	errNoURL     = errors.New("the contract names no gateway")
	errRedirects = fmt.Errorf("%w: too many redirects", chain.ErrLimit)
	errAnswer    = fmt.Errorf("%w: not {\"data\": \"0x...\"}", chain.ErrMalformed)
)

// fetcher makes the look-ups of one Call within its budget.
type fetcher struct {
	caller *Caller
	budget *budget
	slots  chan struct{} // one for each HTTP request of this Call under way
}

// lookup counts and makes one look-up.
func (f *fetcher) lookup(ctx context.Context, r request, depth int) ([]byte, []string, error) {
	if err := f.budget.lookups(1); err != nil {
		return nil, nil, err
	}
	return f.ask(ctx, r, depth)
}

// ask tries the request's gateways in their order, until one has data or refuses (4xx). It returns the
// data and the host names that it comes from; with an error, those of all that failed: in a batch, the
// failure is what the contract gets.
func (f *fetcher) ask(ctx context.Context, r request, depth int) ([]byte, []string, error) {
	var failed []string
	err := errNoURL
	for _, u := range r.urls {
		var data []byte
		var hosts []string
		if u == batchGateway {
			data, hosts, err = f.batch(ctx, r.data, depth)
		} else {
			data, hosts, err = f.get(ctx, u, r)
		}
		if err == nil {
			return data, hosts, nil
		}
		failed = union(failed, hosts)
		var status *statusError
		if errors.As(err, &status) && status.code/100 == 4 || ctx.Err() != nil {
			break
		}
	}
	return nil, failed, err
}

// get asks one gateway. With an error, too, it says which host was asked, or would have been.
func (f *fetcher) get(ctx context.Context, template string, r request) ([]byte, []string, error) {
	if err := f.budget.request(); err != nil {
		return nil, nil, err
	}
	req, err := f.caller.newRequest(template, r)
	if err != nil {
		return nil, nil, err
	}
	host := strings.ToLower(req.URL.Hostname())
	for _, slots := range []chan struct{}{f.slots, f.caller.slots} {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return nil, []string{host}, hostError(host, ctx.Err())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.caller.cfg.Timeout)
	defer cancel()
	data, final, err := f.caller.exchange(req.WithContext(ctx))
	hosts := []string{host}
	if final != "" {
		hosts = union(hosts, []string{final})
	}
	if err == nil {
		err = f.budget.data(len(data))
	}
	if err != nil {
		return nil, hosts, hostError(host, err)
	}
	return data, hosts, nil
}

// newRequest fills in the template: GET where it has {data}, else POST (EIP-3668, "Gateway Interface").
func (c *Caller) newRequest(template string, r request) (*http.Request, error) {
	if len(template) > maxURL {
		return nil, fmt.Errorf("%w: a URL of %d bytes", chain.ErrLimit, len(template))
	}
	sender, data := strings.ToLower(r.sender.Hex()), "0x"+hex.EncodeToString(r.data)
	method, body := http.MethodPost, []byte(nil)
	filled := strings.ReplaceAll(template, "{sender}", sender)
	if n := strings.Count(template, "{data}"); n > 0 {
		if len(filled)+n*len(data) > maxFilled {
			return nil, fmt.Errorf("%w: a URL of more than %d bytes", chain.ErrLimit, maxFilled)
		}
		method, filled = http.MethodGet, strings.ReplaceAll(filled, "{data}", data)
	} else {
		body = fmt.Appendf(nil, `{"data":%q,"sender":%q}`, data, sender)
	}
	req, err := http.NewRequest(method, filled, bytes.NewReader(body))
	if err != nil {
		return nil, errURL // the error quotes the URL
	}
	if err := c.checkURL(req.URL); err != nil {
		return nil, err
	}
	if method == http.MethodGet {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "dens")
	return req, nil
}

// checkURL refuses what is no https URL with a plain host. Whether the host's addresses are allowed is
// for the dialer to say, who knows them.
func (c *Caller) checkURL(u *url.URL) error {
	if u.Scheme != "https" && !(u.Scheme == "http" && c.cfg.AllowHTTP) {
		return errScheme
	}
	if u.Opaque != "" || u.User != nil || !isHost(u.Hostname()) {
		return errURL
	}
	return nil
}

// isHost keeps what a contract says is a host from bringing anything odd into logs and answers.
func isHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	return host != "" && len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	})
}

func (c *Caller) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	req.Header.Del("Referer")
	return c.checkURL(req.URL)
}

// exchange sends the request and returns the data of the answer, and the host that it came from in the end.
func (c *Caller) exchange(req *http.Request) (data []byte, final string, err error) {
	res, err := c.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	final = strings.ToLower(res.Request.URL.Hostname())
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, final, err
	}
	if len(body) > maxBody {
		return nil, final, fmt.Errorf("%w: an answer of more than %d bytes", chain.ErrLimit, maxBody)
	}
	if res.StatusCode/100 != 2 {
		return nil, final, newStatusError(res.StatusCode, body)
	}
	data, err = decodeBody(body)
	return data, final, err
}

// decodeBody reads {"data": "0x..."} token by token, so that a body of a million keys costs no more than
// its own length.
func decodeBody(body []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errAnswer
	}
	var text *string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errAnswer
		}
		var skipped json.RawMessage
		into := any(&skipped)
		if key == "data" {
			if text != nil {
				return nil, errAnswer
			}
			into = &text
		}
		if dec.Decode(into) != nil {
			return nil, errAnswer
		}
	}
	if _, err := dec.Token(); err != nil || text == nil {
		return nil, errAnswer
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errAnswer
	}
	digits, ok := strings.CutPrefix(*text, "0x")
	if !ok {
		return nil, errAnswer
	}
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, errAnswer
	}
	return data, nil
}
