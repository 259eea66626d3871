package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// unitFile is where the README has put the unit.
const unitFile = "/etc/systemd/system/dens.service"

// checkUnit runs dens as systemd does by the unit that the README installs: with its command, without
// rights but the one to bind port 53, with readiness told by a socket.
func checkUnit(t *testing.T) {
	analyze := bed.Tool(t, "systemd-analyze")
	if out := bed.Run(t, analyze, "verify", "--man=no", unitFile); strings.Contains(out, "dens.service") {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	bed.Run(t, analyze, "security", "--offline=true", "--threshold=20", unitFile)

	data, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	setting := func(key string) string {
		m := regexp.MustCompile("(?m)^" + key + "=(.*)$").FindSubmatch(data)
		if m == nil {
			t.Fatalf("the unit has no %s", key)
		}
		return string(m[1])
	}
	right := strings.ToLower(strings.TrimPrefix(setting("AmbientCapabilities"), "CAP_"))
	if kind := setting("Type"); kind != "notify" || setting("DynamicUser") != "yes" || setting("NoNewPrivileges") != "yes" {
		t.Fatalf("the unit is of another kind than this test: Type=%s", kind)
	}

	state := filepath.Join("/var/lib", setting("StateDirectory"))
	bed.Run(t, bed.Tool(t, "chown"), "-R", "65532:65532", state) // as systemd does

	socket := filepath.Join("/run", filepath.Base(t.TempDir())+"-dens-notify") // where every user gets
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { told.Close(); os.Remove(socket) })
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		told.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // the read fails then
		buf := make([]byte, 4096)
		n, err := told.Read(buf)
		if err != nil || !slices.Contains(strings.Split(string(buf[:n]), "\n"), want) {
			t.Fatalf("systemd is told %q, %v; expected %s", buf[:n], err, want)
		}
	}

	cmd := exec.Command(bed.Tool(t, "setpriv"), append([]string{
		"--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs",
		"--inh-caps=-all,+" + right, "--ambient-caps=-all,+" + right, "--bounding-set=-all,+" + right, "--",
	}, strings.Fields(setting("ExecStart"))...)...)
	cmd.Dir, cmd.Env = "/", []string{"NOTIFY_SOCKET=" + socket}
	p := bed.StartCmd(t, cmd)
	expect("READY=1")
	bed.Wait(t, 10*time.Second, "alice.eth is answered", func() bool {
		reply, err := bed.TryAsk("127.0.0.1:53", "alice.eth", dns.TypeA)
		return err == nil && len(reply.Answer) == 2
	})
	reload := strings.Replace(setting("ExecReload"), "$MAINPID", "\"$1\"", 1)
	bed.Run(t, bed.Tool(t, "bash"), "-ec", reload, "bash", strconv.Itoa(p.Cmd.Process.Pid))
	expect("RELOADING=1")
	expect("READY=1")
	p.Cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // seen below
	expect("STOPPING=1")
	if code := p.Stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// checkCorefile lets CoreDNS, by the README's Corefile, forward to dens with the configuration for
// Kubernetes.
func checkCorefile(t *testing.T) {
	file := filepath.Join(bed.Root(), "configs", "kubernetes.yaml")
	t.Setenv("ETH_RPC_URL", "https://"+rpcHosts[2]+"/a-secret")
	t.Setenv("POD_NAME", "dens-0")
	server := &bed.Server{Process: bed.Start(t, bed.Dens(t), "serve", "--config", file), HTTP: "127.0.0.1:8053"}
	server.WaitReady(t)
	corefile := filepath.Join(t.TempDir(), "Corefile")
	blocks := readmeBlocks(t, "corefile")
	if err := os.WriteFile(corefile, []byte(blocks[0].text), 0o600); err != nil || len(blocks) != 1 {
		t.Fatal(err, len(blocks))
	}
	coredns := bed.Start(t, bed.Tool(t, "coredns"), "-conf", corefile)
	at := "127.0.0.1:53"
	bed.Wait(t, 15*time.Second, "CoreDNS answers", func() bool {
		if coredns.Exited() {
			t.Fatalf("CoreDNS ended:\n%s", coredns.Log())
		}
		reply, err := bed.TryAsk(at, "alice.eth", dns.TypeA)
		return err == nil && len(reply.Answer) > 0
	})
	row{"alice.eth", dns.TypeMX, 0, []string{"10 mail.alice.eth."}, ""}.check(t, at)
	row{"nobody.eth", dns.TypeA, dns.RcodeNameError, nil, "eth."}.check(t, at)
	if strings.Contains(server.Log(), "a-secret") {
		t.Errorf("the log shows what a variable held:\n%s", server.Log())
	}
}

// checkMetrics looks for every metric that the pages name, and in the README for every metric that is there.
func checkMetrics(t *testing.T) {
	demo := bed.Start(t, bed.Dens(t), "demo")
	server := &bed.Server{Process: demo, DNS: "127.0.0.1:5353", HTTP: "127.0.0.1:8053"}
	server.WaitReady(t)
	bed.Ask(t, server.DNS, "alice.eth", dns.TypeA)
	_, body := server.Get(t, "/metrics")
	encrypted := bed.ServeUnready(t, "chains: {}\nnames: []\nresolve: { forward: [] }\ntls: { self_signed: true }\n", "  dot: [\"127.0.0.1:8853\"]")
	_, more := encrypted.Get(t, "/metrics")
	body += more
	for _, page := range pages {
		names := regexp.MustCompile("`(dens_[a-z_]+)`").FindAllStringSubmatch(readRoot(t, page), -1)
		if len(names) == 0 {
			t.Fatalf("%s names no metric", page)
		}
		for _, m := range names {
			if !strings.Contains(body, "# TYPE "+m[1]+" ") && !strings.Contains(body, "# TYPE "+m[1]+"\n") {
				t.Errorf("%s names the metric %s, which is not there", page, m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (dens_[a-z_]+) `).FindAllStringSubmatch(body, -1) {
		if !strings.Contains(readRoot(t, "README.md"), "`"+m[1]+"`") {
			t.Errorf("the README does not name the metric %s", m[1])
		}
	}
	if code := demo.Stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("dens demo: exit code %d after SIGTERM", code)
	}
}
