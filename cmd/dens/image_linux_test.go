package main

import (
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestImageMappings(t *testing.T) {
	const smaps = `00400000-00402000 r--p 00000000 fe:00 1  /usr/bin/dens
Size:                  8 kB
Anonymous:             0 kB
00402000-019a7000 r-xp 00002000 fe:00 1  /usr/bin/dens
AnonHugePages:         0 kB
Anonymous:             0 kB
03290000-03291000 r--p 02e8f000 fe:00 1  /usr/bin/dens
Anonymous:             4 kB
03291000-0336e000 rw-p 02e90000 fe:00 1  /usr/bin/dens
Anonymous:             0 kB
7efc7ff1b000-7efc80071000 r-xp 00026000 fe:00 2  /usr/lib/libc.so.6
Anonymous:             0 kB
7efc80071000-7efc80072000 r-xp 00026000 fe:00 2  /other/usr/bin/dens
Anonymous:             0 kB
7ffd0e0f0000-7ffd0e0f2000 r-xp 00000000 00:00 0  [vdso]
Anonymous:             0 kB
`
	got := imageMappings(strings.NewReader(smaps), "/usr/bin/dens")
	if want := []mapping{{0x400000, 0x402000}, {0x402000, 0x19a7000}}; !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if got := imageMappings(strings.NewReader(smaps), "/usr/bin/den"); got != nil {
		t.Errorf("%x of another file", got)
	}
}

// TestTrimImage: the program goes on as before, with less of its file in memory.
func TestTrimImage(t *testing.T) {
	touch := func() int {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		return len(exe) + len(runtime.Version())
	}
	was, before := touch(), residentFile(t)
	trimImage()
	after := residentFile(t)
	if touch() != was || after >= before {
		t.Errorf("%d kB of files in memory, before %d", after, before)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_ = []int{}[was] // and finds its own stack
}

func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("%s", status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
