package e2e

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

// image is what the Dockerfile makes: files below root, and how they are run.
type image struct {
	Root       string
	Entrypoint []string
	Cmd        []string
	Health     []string
	User       uint32
}

// imageVar hands the image to the process that is isolated: only the one that is not can download.
const imageVar = "DENS_E2E_IMAGE"

// imageUser is who the image runs as.
const imageUser = 65532

// instruction is one instruction of a Dockerfile, of the stage named.
type instruction struct{ stage, name, args string }

// dockerfile reads the project's Dockerfile.
func dockerfile(t *testing.T) []instruction {
	t.Helper()
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(readRoot(t, "Dockerfile"), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	var all []instruction
	stage := ""
	for line := range strings.Lines(text) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		args = strings.TrimSpace(args)
		if name == "FROM" {
			base, as, named := strings.Cut(args, " AS ")
			if stage = as; !named {
				stage = base
			}
		}
		if name != "" {
			all = append(all, instruction{stage, name, args})
		}
	}
	return all
}

// buildImage does on this machine what the Dockerfile says, with /src and /out in a folder of the test.
// What it does not know fails the test: then the test has to learn it.
func buildImage(t *testing.T) *image {
	t.Helper()
	dir := t.TempDir()
	src, im := filepath.Join(dir, "src"), &image{Root: filepath.Join(dir, "out")}
	run := func(stage, script string) {
		t.Helper()
		script = regexp.MustCompile(`(^|[ "])/(src|out)\b`).ReplaceAllString(script, "${1}"+dir+"/${2}")
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir, cmd.Env = "/", append(os.Environ(), "VERSION=dev")
		if stage == "build" {
			cmd.Dir = src
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("RUN %s: %v\n%s", script, err, out)
		}
	}
	for _, i := range dockerfile(t) {
		switch step := i.stage + ": " + i.name + " " + i.args; step {
		case "build: FROM golang:1.26 AS build", "rights: FROM debian:stable-slim AS rights", "scratch: FROM scratch",
			"build: ARG VERSION=dev":
		case "build: WORKDIR /src":
			if err := os.Mkdir(src, 0o755); err != nil {
				t.Fatal(err)
			}
		case "build: COPY go.mod go.sum ./":
			bed.Run(t, bed.Tool(t, "cp"), "go.mod", "go.sum", src)
		case "build: COPY . .":
			copySource(t, src)
		case "rights: RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin":
			if !strings.Contains(readRoot(t, "internal/e2e/install.sh"), " libcap2-bin ") {
				t.Error("install.sh does not install what the Dockerfile does")
			}
		case "rights: COPY --from=build /out /out", "scratch: COPY --from=rights /out /": // it is where it is
		default:
			if i.name == "RUN" && i.stage != "scratch" {
				run(i.stage, i.args)
			} else if !im.runtime(t, i) {
				t.Fatalf("the test does not know how to do this step of the Dockerfile: %s", step)
			}
		}
	}
	return im
}

// runtime notes how the image is run.
func (im *image) runtime(t *testing.T, i instruction) bool {
	t.Helper()
	list := func(text string) []string {
		var words []string
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Fatalf("%s %s: %v", i.name, text, err)
		}
		return words
	}
	switch {
	case i.stage != "scratch":
		return false
	case i.name == "EXPOSE":
	case i.name == "USER" && i.args == "65532:65532":
		im.User = imageUser
	case i.name == "ENTRYPOINT":
		im.Entrypoint = list(i.args)
	case i.name == "CMD":
		im.Cmd = list(i.args)
	case i.name == "HEALTHCHECK":
		_, command, ok := strings.Cut(i.args, " CMD ")
		if !ok {
			return false
		}
		im.Health = list(command)
	default:
		return false
	}
	return true
}

// copySource copies what a clean checkout holds.
func copySource(t *testing.T, to string) {
	t.Helper()
	ignored := readRoot(t, ".dockerignore")
	for _, path := range []string{".git", ".testbed"} {
		if !strings.Contains(ignored, "\n"+path+"\n") {
			t.Errorf(".dockerignore does not keep out %s", path)
		}
	}
	bed.Run(t, bed.Tool(t, "bash"), "-ec",
		`git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || echo "$f"; done' sh | tar -c -T - | tar -x -C "$1"`, "bash", to)
}

// command makes a command of the image, which sees the image's files and nothing else.
func (im *image) command(args ...string) *exec.Cmd {
	cmd := &exec.Cmd{Path: args[0], Args: args, Dir: "/", Env: []string{"PATH=/"}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: im.Root, Credential: &syscall.Credential{Uid: im.User, Gid: im.User}}
	return cmd
}

// run runs a command of the image to its end.
func (im *image) run(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := im.command(args...)
	data, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%v: %v", args, err)
	}
	return string(data), cmd.ProcessState.ExitCode()
}

// TestImage builds what the Dockerfile builds, and runs it in an empty chroot on a machine without a way out.
func TestImage(t *testing.T) {
	if os.Getenv(insideVar) == "" {
		data, err := json.Marshal(buildImage(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(imageVar, string(data))
	}
	if !isolated(t) {
		return
	}
	im := new(image)
	if err := json.Unmarshal([]byte(os.Getenv(imageVar)), im); err != nil {
		t.Fatal(err)
	}
	if im.User != imageUser || !slices.Equal(im.Entrypoint, []string{"/dens"}) {
		t.Fatalf("the image runs %q as %d", im.Entrypoint, im.User)
	}
	t.Run("files", im.checkFiles)
	t.Run("serve", im.checkServe)
	t.Run("capabilities", im.checkCapabilities)
	t.Run("configured", im.checkConfigured)
	t.Run("demo", im.checkDemo)
}

func (im *image) checkFiles(t *testing.T) {
	var files []string
	err := filepath.WalkDir(im.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, info.Mode().String()+" "+strings.TrimPrefix(path, im.Root))
		return nil
	})
	want := []string{
		"drwxr-xr-x ", "-rwxr-xr-x /dens", "drwxr-xr-x /etc", "drwxr-xr-x /etc/dens", "-rw-r--r-- /etc/dens/dens.yaml",
		"-rw-r--r-- /etc/group", "-rw-r--r-- /etc/passwd", "drwxr-xr-x /etc/ssl", "drwxr-xr-x /etc/ssl/certs",
		"-rw-r--r-- /etc/ssl/certs/ca-certificates.crt", "dtrwxrwxrwx /tmp", "drwxr-xr-x /var", "drwxr-xr-x /var/lib", "dtrwxrwxrwx /var/lib/dens",
	}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("the image holds %q, %v; expected %q", files, err, want)
	}
	bundle, err := os.ReadFile(filepath.Join(im.Root, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for p, rest := pem.Decode(bundle); p != nil; p, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(p.Bytes); err != nil {
			t.Errorf("certificate %d: %v", count, err)
		}
		count++
	}
	if count < 50 {
		t.Errorf("the image holds %d CA certificates", count)
	}
	elf, err := os.ReadFile(filepath.Join(im.Root, "dens"))
	if err != nil || bytes.Contains(elf, []byte("/ld-linux")) {
		t.Errorf("the program asks for a dynamic loader, %v", err)
	}
	if rights := bed.Run(t, bed.Tool(t, "getcap"), filepath.Join(im.Root, "dens")); !strings.HasSuffix(rights, " cap_net_bind_service=ep\n") {
		t.Errorf("the program has the rights %q", rights)
	}
	if out, code := im.run(t, "/dens", "version"); code != 0 || !strings.HasPrefix(out, "dens dev") {
		t.Errorf("dens version: exit code %d, %q", code, out)
	}
}

// start runs the image, or with args another command of it, until the test ends.
func (im *image) start(t *testing.T, args ...string) *bed.Process {
	t.Helper()
	if len(args) == 0 {
		args = im.Cmd
	}
	return im.watch(t, im.command(append(slices.Clone(im.Entrypoint), args...)...))
}

// watch starts a command and waits for its health page.
func (im *image) watch(t *testing.T, cmd *exec.Cmd) *bed.Process {
	t.Helper()
	p := bed.StartCmd(t, cmd)
	t.Cleanup(func() {
		if code := p.Stop(t, syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d after SIGTERM", code)
		}
	})
	bed.Wait(t, 15*time.Second, "dens health", func() bool {
		if p.Exited() {
			t.Fatalf("the image ended:\n%s", p.Log())
		}
		_, code := im.run(t, "/dens", "health", "--url", "http://127.0.0.1:8053/healthz")
		return code == 0
	})
	return p
}

// checkServe runs the image as it is, with no network: what needs none is answered, and it does not
// claim to be ready.
func (im *image) checkServe(t *testing.T) {
	im.start(t)
	for _, at := range []string{"127.0.0.1:53", "[::1]:53"} {
		row{"localhost", dns.TypeA, 0, []string{"127.0.0.1"}, ""}.check(t, at)
		row{"name.invalid", dns.TypeA, dns.RcodeNameError, nil, "invalid."}.check(t, at)
		reply := bed.Ask(t, at, "alice.eth", dns.TypeA)
		if reply.Rcode != dns.RcodeServerFailure || bed.EDE(reply) == nil {
			t.Errorf("alice.eth @%s without a network: %v", at, reply)
		}
	}
	if out, code := im.run(t, im.Health...); code != 1 || !strings.Contains(out, "unready") {
		t.Errorf("the health check without a network: exit code %d, %q", code, out)
	}
}

// checkCapabilities runs the image as a runtime does that drops all capabilities but the one that the
// README asks for.
func (im *image) checkCapabilities(t *testing.T) {
	cmd := exec.Command(bed.Tool(t, "setpriv"), append([]string{
		"--bounding-set=-all,+net_bind_service,+sys_chroot,+setuid,+setgid", "--",
		bed.Tool(t, "chroot"), "--userspec=65532:65532", im.Root, "/dens",
	}, im.Cmd...)...)
	im.watch(t, cmd)
	row{"localhost", dns.TypeAAAA, 0, []string{"::1"}, ""}.check(t, "127.0.0.1:53")
}

// checkConfigured mounts a file over the image's own, as its users do, that names an upstream.
func (im *image) checkConfigured(t *testing.T) {
	upstream, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveDNS(t, &dns.Server{PacketConn: upstream})
	inside := filepath.Join(im.Root, "etc/dens/dens.yaml")
	own, err := os.ReadFile(inside)
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(t.TempDir(), "dens.yaml")
	conf := string(own) + "\nresolve: { forward: [\"" + upstream.LocalAddr().String() + "\"] }\n"
	if err := os.WriteFile(mine, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(mine, inside, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(inside, 0); err != nil {
			t.Error(err)
		}
	})
	im.start(t)
	bed.Wait(t, 10*time.Second, "the health check passes", func() bool {
		_, code := im.run(t, im.Health...)
		return code == 0
	})
	row{"www.example.org", dns.TypeA, 0, []string{"192.0.2.80"}, ""}.check(t, "127.0.0.1:53")
}

// checkDemo runs the demo in the image, and looks up a name there.
func (im *image) checkDemo(t *testing.T) {
	im.start(t, "demo")
	bed.Wait(t, 10*time.Second, "the health check passes", func() bool {
		_, code := im.run(t, im.Health...)
		return code == 0
	})
	for _, s := range demo.Samples() {
		if s.Name == "alice.eth" {
			if err := s.Check(bed.Ask(t, "127.0.0.1:5353", s.Name, dns.StringToType[s.Type])); err != nil {
				t.Error(err)
			}
		}
	}
	out, code := im.run(t, "/dens", "lookup", "alice.eth", "A", "--server", "127.0.0.1:5353")
	if code != 0 || !strings.Contains(out, "192.0.2.10") {
		t.Errorf("dens lookup: exit code %d\n%s", code, out)
	}
}
