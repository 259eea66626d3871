package load

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// output runs a program and returns what it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %.500s", name, err, errs.String()+out.String())
	}
	return out.String(), nil
}
