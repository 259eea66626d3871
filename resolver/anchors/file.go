package anchors

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// The state file, a line each:
//
//	dens-anchors 1
//	zone . checked=2026-11-21T10:00:00Z next=2026-11-22T10:00:00Z
//	key AddPend since=2026-11-21T10:00:00Z until=2026-12-21T10:00:00Z seen=2026-11-21T10:00:00Z from=zone 257 3 8 AwEAA...
//	end
//
// A time that means nothing is "-". Empty lines and lines that begin with ";" are for people.
const (
	stateMagic = "dens-anchors 1"
	stateEnd   = "end"
	timeLayout = "2006-01-02T15:04:05Z"
	stateNote  = `; Trust anchors and what dens has seen of their roll-over (RFC 5011). dens rewrites this file;
; stop dens before you change it. Without it dens begins again with the configured anchors.`
)

// Bounds of the state file. A file beyond them is neither read nor written.
const (
	maxState      = 8 << 20
	maxStateZones = 2000
	maxStateLine  = 16 << 10
)

// lineError is what is wrong with a line of the state file.
type lineError struct {
	line     int
	found    string
	expected string
}

func (e *lineError) Error() string {
	found := e.found
	if len(found) > 60 {
		found = found[:60] + "..."
	}
	return fmt.Sprintf("line %d: found %q, expected %s", e.line, found, e.expected)
}

// formatState writes points as text.
func formatState(points []point) []byte {
	var b bytes.Buffer
	b.WriteString(stateMagic + "\n" + stateNote + "\n")
	for _, p := range points {
		zone := strings.ReplaceAll(p.zone, `\ `, `\032`) // a line is split at spaces
		fmt.Fprintf(&b, "zone %s checked=%s next=%s\n", zone, formatTime(p.checked), formatTime(p.next))
		for _, k := range p.keys {
			from := "zone"
			if k.named {
				from = "config"
			}
			fmt.Fprintf(&b, "key %s since=%s until=%s seen=%s from=%s %d 3 %d %s\n", k.state,
				formatTime(k.since), formatTime(k.until), formatTime(k.seen), from, k.flags, k.id.algorithm, k.id.public)
		}
	}
	b.WriteString(stateEnd + "\n")
	return b.Bytes()
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(timeLayout)
}

// parseState reads what formatState wrote, strictly. Errors name the line.
func parseState(text []byte) ([]point, error) {
	if len(text) > maxState {
		return nil, fmt.Errorf("more than %d bytes", maxState)
	}
	r := stateReader{zones: make(map[string]bool)}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(make([]byte, 0, 4096), maxStateLine)
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, ";") {
			continue
		}
		if expected := r.line(line); expected != "" {
			return nil, &lineError{number, line, expected}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, &lineError{number + 1, "a line of more than " + strconv.Itoa(maxStateLine) + " bytes", "a shorter one"}
	}
	if !r.ended {
		return nil, &lineError{number + 1, "the end of the file", `the line "end": the file is cut short`}
	}
	return r.points, nil
}

// stateReader is where a parse stands.
type stateReader struct {
	begun, ended bool
	points       []point
	zones        map[string]bool
}

// line reads one line, and says what was expected where it does not fit.
func (r *stateReader) line(line string) (expected string) {
	fields := strings.Fields(line)
	switch {
	case r.ended:
		return `nothing after "end"`
	case !r.begun:
		if strings.Join(fields, " ") != stateMagic {
			return fmt.Sprintf("%q: this is no state file of this version", stateMagic)
		}
		r.begun = true
	case fields[0] == "zone":
		return r.zone(fields[1:])
	case fields[0] == "key" && len(r.points) > 0:
		return r.key(fields[1:])
	case line == stateEnd:
		r.ended = true
	case fields[0] == "key":
		return `"zone" before the first "key"`
	default:
		return `"zone", "key" or "end"`
	}
	return ""
}

func (r *stateReader) zone(fields []string) (expected string) {
	if len(fields) != 3 {
		return "zone NAME checked=TIME next=TIME"
	}
	var p point
	zone, err := resolver.CheckName(fields[0])
	if err != nil || !dns.IsFqdn(fields[0]) {
		return "an absolute domain name after zone"
	}
	p.zone = zone
	if r.zones[p.zone] {
		return "each zone once"
	}
	if len(r.points) >= maxStateZones {
		return fmt.Sprintf("at most %d zones", maxStateZones)
	}
	if !parseTime(fields[1], "checked=", &p.checked) || !parseTime(fields[2], "next=", &p.next) {
		return "checked=TIME next=TIME, times such as 2026-11-21T10:00:00Z or -"
	}
	r.zones[p.zone] = true
	r.points = append(r.points, p)
	return ""
}

func (r *stateReader) key(fields []string) (expected string) {
	if len(fields) != 9 {
		return "key STATE since=TIME until=TIME seen=TIME from=config|zone FLAGS 3 ALGORITHM KEY"
	}
	var k key
	if err := k.state.UnmarshalText([]byte(fields[0])); err != nil {
		return "a state: AddPend, Valid, Missing, Revoked or Removed"
	}
	if !parseTime(fields[1], "since=", &k.since) || !parseTime(fields[2], "until=", &k.until) || !parseTime(fields[3], "seen=", &k.seen) {
		return "since=TIME until=TIME seen=TIME, times such as 2026-11-21T10:00:00Z or -"
	}
	if (k.state == AddPend) == k.until.IsZero() {
		return "until=TIME for AddPend, and until=- for all others"
	}
	if fields[4] != "from=config" && fields[4] != "from=zone" {
		return "from=config or from=zone"
	}
	k.named = fields[4] == "from=config"
	if expected := k.parse(fields[5:]); expected != "" {
		return expected
	}
	p := &r.points[len(r.points)-1]
	if p.find(k.id) != nil {
		return "each key once"
	}
	p.keys = append(p.keys, k)
	return ""
}

// parse reads the data of a DNSKEY record.
func (k *key) parse(fields []string) (expected string) {
	flags, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil || flags&dns.ZONE == 0 || flags&dns.REVOKE != 0 {
		return "the flags of a zone key that is not revoked, such as 257"
	}
	if fields[1] != "3" {
		return "the protocol 3"
	}
	algorithm, err := strconv.ParseUint(fields[2], 10, 8)
	if err != nil {
		return "an algorithm number"
	}
	public, err := base64.StdEncoding.Strict().DecodeString(fields[3])
	if err != nil || len(public) == 0 || len(public) > maxPublicKey {
		return "a public key in base64"
	}
	k.flags = uint16(flags)
	k.id = keyID{uint8(algorithm), base64.StdEncoding.EncodeToString(public)}
	return ""
}

func parseTime(field, label string, into *time.Time) bool {
	text, ok := strings.CutPrefix(field, label)
	if !ok {
		return false
	}
	if text == "-" {
		return true
	}
	t, err := time.Parse(timeLayout, text)
	if err != nil || t.IsZero() || t.Nanosecond() != 0 {
		return false
	}
	*into = t
	return true
}
