package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// trimImage gives back the memory of the program's file that only the start has needed, some 10 MiB. What is
// needed again the kernel maps again, without reading the disk. Where that cannot be done, nothing is lost.
func trimImage() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, m := range imageMappings(f, exe) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

type mapping struct{ from, to uintptr }

// imageMappings reads the mappings of a file, in the form of proc(5), that are what the file holds and nothing
// else: they cannot be written to, and no page of them has been. What the loader relocated is no such mapping.
func imageMappings(smaps io.Reader, file string) []mapping {
	var found []mapping
	var at mapping
	ours := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		var next mapping
		var access string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &next.from, &next.to, &access); n == 3 {
			at, ours = next, strings.HasPrefix(access, "r-") && strings.HasSuffix(line, " "+file)
		} else if ours && strings.HasPrefix(line, "Anonymous:") && strings.Join(strings.Fields(line), " ") == "Anonymous: 0 kB" {
			found = append(found, at)
		}
	}
	return found
}
