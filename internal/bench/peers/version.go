package peers

import (
	"context"
	"os/exec"
	"regexp"
)

var version = regexp.MustCompile(`(?m)(?:^|[\s-])(\d+\.\d+(?:\.\d+)?)`)

// Version asks a server's program for its version; "" if it does not tell. binary is as in Site.
func (p Peer) Version(ctx context.Context, binary string) string {
	if binary == "" {
		binary = p.Program
	}
	// Some tell and then exit with a failure.
	out, _ := exec.CommandContext(ctx, binary, p.version...).CombinedOutput() //nolint:errcheck // see above
	if found := version.FindSubmatch(out); found != nil {
		return string(found[1])
	}
	return ""
}
