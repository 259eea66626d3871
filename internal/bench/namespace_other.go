//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

const builtVar = "DENS_BENCH_BUILT"

func isolated() bool { return false }

func reexec(context.Context, []string, binaries, io.Writer) error {
	return errors.New("network namespaces are of Linux: the benchmark runs nowhere else")
}
