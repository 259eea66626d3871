package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dens/configs"
	"dens/internal/e2e/bed"
)

// pages are what is documented: what is true of the README's blocks and links is of theirs.
var pages = []string{"README.md", "docs/trust.md", "docs/transports.md"}

// block is a fenced block of a page.
type block struct {
	page string
	kind string // the word after the fence
	line int    // of the fence
	text string
}

func (b block) at() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

func readRoot(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(bed.Root(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// readmeBlocks are the pages' fenced blocks of a kind, all of them for "", in the order of reading.
func readmeBlocks(t testing.TB, kind string) []block {
	t.Helper()
	var blocks []block
	for _, page := range pages {
		blocks = append(blocks, blocksOf(t, page, kind)...)
	}
	if len(blocks) == 0 {
		t.Fatalf("no page has a block %q", kind)
	}
	return blocks
}

func blocksOf(t testing.TB, page, kind string) (blocks []block) {
	t.Helper()
	var open *block
	for i, line := range strings.Split(readRoot(t, page), "\n") {
		info, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{page: page, kind: info, line: i + 1}
		case isFence:
			if kind == "" || open.kind == kind {
				blocks = append(blocks, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s: the block does not end", open.at())
	}
	return blocks
}

// TestReadmeBlocks keeps out kinds of blocks that no test runs, and loads the configurations.
func TestReadmeBlocks(t *testing.T) {
	for _, b := range readmeBlocks(t, "") {
		if !slices.Contains([]string{"console", "yaml", "corefile", "nginx", "haproxy"}, b.kind) {
			t.Errorf("%s: no test runs blocks of the kind %q", b.at(), b.kind)
		}
	}
	env := func(name string) (string, bool) { return "key", name == "ETH_API_KEY" }
	for _, b := range readmeBlocks(t, "yaml") {
		if _, err := configs.Parse(b.page, []byte(b.text), env); err != nil {
			t.Errorf("%s: %v", b.at(), err)
		}
	}
}

// TestReadmeLinks follows the links to files and headings, and looks for every command and flag that the text
// names.
func TestReadmeLinks(t *testing.T) {
	text := ""
	for _, page := range pages {
		text += readRoot(t, page)
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(readRoot(t, page), -1) {
			file, heading, _ := strings.Cut(link[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(filepath.Join(bed.Root(), target)); err != nil {
				t.Errorf("%s links to %s: %v", page, link[1], err)
			} else if heading != "" && !slices.Contains(headings(t, target), heading) {
				t.Errorf("%s links to %s: there is no such heading", page, link[1])
			}
		}
	}
	commands := regexp.MustCompile("`dens ([a-z]+)([^`]*)`").FindAllStringSubmatch(text, -1)
	if len(commands) == 0 {
		t.Fatal("the pages' text names no command")
	}
	for _, c := range commands {
		help := bed.Run(t, bed.Dens(t), c[1], "--help")
		if !strings.Contains(help, "dens "+c[1]) {
			t.Errorf("there is no command %q", c[0])
		}
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(c[2], -1) {
			if !strings.Contains(help, flag) {
				t.Errorf("%s: there is no flag %s", c[0], flag)
			}
		}
	}
}

// headings are the headings of a page as links name them.
func headings(t testing.TB, page string) (all []string) {
	t.Helper()
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(readRoot(t, page), -1) {
		all = append(all, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

// TestTestCommand looks at what cannot be run inside of itself: the README's test command.
func TestTestCommand(t *testing.T) {
	if ci := readRoot(t, ".ci/run"); !strings.HasSuffix(ci, "\nexec ./test.sh\n") {
		t.Errorf(".ci/run does not end in the README's test command:\n%s", ci)
	}
	out, code := bed.RunCode(t, filepath.Join(bed.Root(), "test.sh"), "nonsense")
	if code != 2 || !strings.Contains(out, "lint unit fuzz build e2e") {
		t.Errorf("./test.sh nonsense: exit code %d, %q", code, out)
	}
	// Its last line is the one that the README shows.
	if script := readRoot(t, "test.sh"); !strings.HasSuffix(script, "\nstep \"all passed\"\n") {
		t.Error("test.sh does not end in: all passed")
	}
}

// TestReadmeCommands does what the pages say, command by command, on a machine of its own: network and
// files are those of namespaces, where a small internet has all that dens's defaults ask.
func TestReadmeCommands(t *testing.T) {
	if !isolated(t) {
		return
	}
	authorities, anchor := makeInternet(t)
	privateFiles(t, authorities, anchor)
	privateDir(t, "/tmp/dens-demo")
	term := &terminal{t: t, env: append(os.Environ(),
		"PATH=/usr/local/bin:"+os.Getenv("PATH")+":"+bed.Path(t, "bin"), "LC_ALL=C.UTF-8", "IPFS_PATH="+t.TempDir(), "IPFS_TELEMETRY=off")}
	term.run("ipfs init --profile test", "...\n") // the reader's node is there already
	for _, b := range readmeBlocks(t, "console") {
		for _, c := range parseConsole(t, b) {
			term.run(c.line, c.output)
		}
	}
	term.stop()
	t.Run("metrics", checkMetrics)
	t.Run("unit", checkUnit)
	t.Run("corefile", checkCorefile)
}

// privateDir makes a directory whose files are this isolated test's alone.
func privateDir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", path, err)
		}
		os.Remove(path) //nolint:errcheck // another test may be in it
	})
}

// terminal runs commands as a reader would.
type terminal struct {
	t       *testing.T
	env     []string
	running *bed.Process // what runs until the next such command, or stop
}

var runsOn = regexp.MustCompile(`^(go run \./cmd/dens|dens) ((demo|serve)\b.*)$`)

// run runs a command and compares its output with what is to be shown. A server runs on beside the
// commands that follow; another one takes its place.
func (c *terminal) run(command, want string) {
	c.t.Helper()
	if m := runsOn.FindStringSubmatch(command); m != nil {
		c.stop()
		c.running = bed.Start(c.t, bed.Dens(c.t), strings.Fields(m[2])...)
		shown := func() bool { return !c.running.Exited() && matchOutput(want, c.running.Log()) }
		for end := time.Now().Add(15 * time.Second); !shown(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				c.t.Fatalf("$ %s\nshows:\n%s\nand the page says:\n%s", command, c.running.Log(), want)
			}
		}
		return
	}
	if command == "./test.sh" {
		return // TestTestCommand
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", command)
	cmd.Dir, cmd.Env = bed.Root(), c.env
	out, err := cmd.CombinedOutput()
	if err != nil || !matchOutput(want, string(out)) {
		c.t.Errorf("$ %s\n%v\nshows:\n%s\nand the page says:\n%s", command, err, out, want)
	}
}

// stop ends what runs on, as Ctrl-C does.
func (c *terminal) stop() {
	c.t.Helper()
	if c.running == nil {
		return
	}
	if code := c.running.Stop(c.t, syscall.SIGINT); code != 0 {
		c.t.Errorf("%v: exit code %d after Ctrl-C", c.running.Cmd.Args, code)
	}
	c.running = nil
}

// command is a command of a console block and the output that is shown for it.
type command struct{ line, output string }

func parseConsole(t *testing.T, b block) []command {
	t.Helper()
	var commands []command
	for line := range strings.Lines(b.text) {
		if c, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, command{line: strings.TrimSpace(c)})
		} else if len(commands) > 0 {
			commands[len(commands)-1].output += line
		} else {
			t.Fatalf("%s: the block does not begin with a command", b.at())
		}
	}
	return commands
}

// matchOutput compares an output with what is to be shown: "..." stands for anything within a line, and
// alone on a line for any number of lines. How wide the space between words is does not count.
func matchOutput(want, got string) bool {
	expr := "^"
	for _, line := range words(want) {
		if line == "..." {
			expr += `(?:[^\n]*\n)*`
			continue
		}
		expr += strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `[^\n]*`) + `\n`
	}
	got = strings.Join(words(got), "\n") + "\n"
	return regexp.MustCompile(expr + "$").MatchString(strings.TrimPrefix(got, "\n"))
}

// words are the lines of a text with single spaces, without the empty lines at its end.
func words(text string) []string {
	var lines []string
	if text = strings.TrimRight(text, " \t\n"); text == "" {
		return nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestMatchOutput(t *testing.T) {
	for _, c := range []struct {
		want, got string
		match     bool
	}{
		{"", "", true},
		{"", "x\n", false},
		{"a\n", "", false},
		{"a  b\n", "a b", true},
		{"a b\n", "a bc\n", false},
		{"a b\n", "a b\nc\n", false},
		{"a ... c\n", "a b b c\n", true},
		{"a ... c\n", "a b\nb c\n", false},
		{"a\n...\n", "a\n", true},
		{"a\n...\n", "a\nb\nc\n", true},
		{"...\nc\n", "a\nb\nc\n", true},
		{"...\nc\n", "a\nb\nd\n", false},
		{"a\n\nb\n", "a\n\nb\n", true},
		{"a\n\nb\n", "a\nb\n", false},
		{"a.c (x)\n", "abc (x)\n", false},
	} {
		if got := matchOutput(c.want, c.got); got != c.match {
			t.Errorf("matchOutput(%q, %q) = %v", c.want, c.got, got)
		}
	}
}
