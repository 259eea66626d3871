package e2e

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"dens/chain/light"
	"dens/internal/demo/consensus"
	"dens/internal/e2e/bed"
)

// isolated tells whether this process is the copy of the test that runs in a network and a mount
// namespace of its own, with loopback up. The process that is not runs the copy.
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVar) == t.Name() {
		bed.Run(t, bed.Tool(t, "ip"), "link", "set", "lo", "up")
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "5m")
	cmd.Env = append(os.Environ(), insideVar+"="+t.Name())
	// Built once for all copies. A dens that cannot be built fails those that ask for it.
	if built, _, err := bed.Prebuild(); err == nil {
		cmd.Env = append(cmd.Env, built...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the namespaces: %v\n%s", err, out)
	}
	return false
}

// The hosts of the small internet: those of dens's defaults and example files.
const (
	rpcAddress    = "198.51.100.1"
	beaconAddress = "198.51.100.2"
	lanRouter     = "192.168.1.1"
	clusterIP     = "10.96.0.53" // of dens itself
)

var (
	rpcHosts    = []string{"ethereum-rpc.publicnode.com", "eth.drpc.org", "mainnet.gateway.tenderly.co"}
	beaconHosts = []string{"lodestar-mainnet.chainsafe.io", "ethereum-beacon-api.publicnode.com", "ethereum.operationsolarstorm.org"}
	dotHosts    = map[string]string{
		"9.9.9.9": "dns.quad9.net", "149.112.112.112": "dns.quad9.net",
		"1.1.1.1": "cloudflare-dns.com", "1.0.0.1": "cloudflare-dns.com",
		"8.8.8.8": "dns.google",
	}
)

// serviceHosts are the hosts of RPC services and beacon APIs with their addresses.
func serviceHosts() map[string]string {
	hosts := map[string]string{}
	for _, host := range rpcHosts {
		hosts[host] = rpcAddress
	}
	for _, host := range beaconHosts {
		hosts[host] = beaconAddress
	}
	return hosts
}

// makeInternet puts up, around an isolated test, the name servers of the root and what is below it, public
// resolvers with DNS over TLS, RPC services and beacon APIs over HTTPS, at their own addresses and with
// certificates for their own names, behind the router of a home. The chain is anvil with the real contracts
// of ENS and the names of populate, and what signs its blocks passes for mainnet's consensus. The machine trusts the certificates from privateFiles on, which takes the authorities'
// files, and the root's key there, which is not that of the world.
func makeInternet(t *testing.T) (authorities []string, anchor string) {
	t.Helper()
	bed.Run(t, bed.Tool(t, "ip"), "address", "add", clusterIP+"/32", "dev", "lo")
	outside := makeHome(t, append(slices.Sorted(maps.Keys(dotHosts)), rpcAddress, beaconAddress)...)

	node := bed.DeployENS(t, bed.StartAnvil(t, "--block-time", "1", "--mixed-mining"))
	node.PlaceUniversalResolver(t)
	populate(t, node)

	certificate := func(host string) tls.Certificate {
		ca, cert, key := bed.Certificate(t, host)
		authorities = append(authorities, ca)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	listen := func(address string, certs ...tls.Certificate) (l net.Listener) {
		outside.within(t, func() (err error) {
			l, err = tls.Listen("tcp", address, &tls.Config{Certificates: certs})
			return err
		})
		return l
	}
	certificates := func(hosts []string) (certs []tls.Certificate) {
		for _, host := range hosts {
			certs = append(certs, certificate(host))
		}
		return certs
	}
	serveRPC(t, node.HTTP, listen(rpcAddress+":443", certificates(rpcHosts)...))
	serveHTTP(t, mainnetBeacon(t, node).Handler(), listen(beaconAddress+":443", certificates(beaconHosts)...))
	for address, host := range dotHosts {
		serveDNS(t, &dns.Server{Listener: listen(address+":853", certificate(host))})
	}
	var router net.PacketConn
	outside.within(t, func() (err error) {
		router, err = net.ListenPacket("udp", lanRouter+":53")
		return err
	})
	serveDNS(t, &dns.Server{PacketConn: router})
	return authorities, makeRoot(t, outside)
}

// makeHome connects an isolated test, by the router of a home, to a network with the given addresses.
func makeHome(t *testing.T, addresses ...string) (outside *namespace) {
	t.Helper()
	ip := bed.Tool(t, "ip")
	outside = newNamespace(t, "internet", addresses...)
	bed.Run(t, ip, "link", "add", "home", "type", "veth", "peer", "name", "router", "netns", outside.name)
	bed.Run(t, ip, "-n", outside.name, "address", "add", lanRouter+"/24", "dev", "router")
	bed.Run(t, ip, "-n", outside.name, "link", "set", "router", "up")
	bed.Run(t, ip, "address", "add", "192.168.1.2/24", "dev", "home")
	bed.Run(t, ip, "link", "set", "home", "up")
	bed.Run(t, ip, "route", "add", "default", "via", lanRouter)
	return outside
}

// within runs f, which opens sockets, inside the namespace.
func (n *namespace) within(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: see dial
		handle, err := os.Open(filepath.Join("/run/netns", n.name))
		if err == nil {
			err = unix.Setns(int(handle.Fd()), unix.CLONE_NEWNET)
			handle.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// serveRPC passes on what comes by l to the node.
func serveRPC(t *testing.T, node string, l net.Listener) {
	t.Helper()
	target, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	serveHTTP(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.URL.Path = "/"
	}}, l)
}

// mainnetBeacon starts a beacon chain that signs the node's blocks and that light clients take for mainnet's,
// but for the checkpoint.
func mainnetBeacon(t *testing.T, node *bed.ENS) *consensus.Chain {
	t.Helper()
	mainnet, _ := light.Named("mainnet")
	versions := map[string][4]byte{}
	for _, fork := range mainnet.Forks {
		versions[fork.Name] = fork.Version
	}
	return bed.StartBeacon(t, consensus.Config{
		Head: node.Head(t), Auto: true, Port: -1,
		Genesis: mainnet.Genesis, SlotTime: mainnet.SlotTime, ValidatorsRoot: mainnet.ValidatorsRoot, Versions: versions,
	})
}

// serveHTTP serves what comes by l until the test ends.
func serveHTTP(t *testing.T, handler http.Handler, l net.Listener) {
	t.Helper()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(func() { server.Close() })
}

// serveDNS answers for example.org and the hosts of RPC services, until the test ends.
func serveDNS(t *testing.T, server *dns.Server) {
	t.Helper()
	records := map[string][]string{
		".":                {". 300 SOA a.example. b.example. 1 1 1 1 300", ". 300 NS a.example."},
		"lan.":             {"lan. 300 SOA a.example. b.example. 1 1 1 1 300"},
		"www.example.org.": {"www.example.org. 300 A 192.0.2.80"},
	}
	for host, address := range serviceHosts() {
		records[host+"."] = []string{host + ". 300 A " + address}
	}
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
		reply := new(dns.Msg).SetReply(req)
		list, exists := records[dns.CanonicalName(req.Question[0].Name)]
		if !exists {
			reply.Rcode = dns.RcodeNameError
		}
		for _, text := range list {
			rr, err := dns.NewRR(text)
			if err == nil && rr.Header().Rrtype == req.Question[0].Qtype {
				rr.Header().Name = req.Question[0].Name
				reply.Answer = append(reply.Answer, rr)
			}
		}
		if len(reply.Answer) == 0 {
			soa, err := dns.NewRR(records["."][0])
			if err == nil {
				reply.Ns = append(reply.Ns, soa)
			}
		}
		w.WriteMsg(reply) //nolint:errcheck // the asker notices
	})
	go server.ActivateAndServe()            //nolint:errcheck // it ends with the test
	t.Cleanup(func() { server.Shutdown() }) //nolint:errcheck // as above
}

// homeFile is the configuration that the README begins with.
var homeFile = filepath.Join(bed.Root(), "configs", "home.yaml")

// privateFiles gives an isolated test copies of /etc, where the authorities are trusted, and of
// /usr/local/bin, and an empty /var/lib. It can find the beacon APIs before dens runs. configs/home.yaml names the small internet's trust anchor.
func privateFiles(t *testing.T, authorities []string, anchor string) {
	t.Helper()
	dir := t.TempDir()
	conf, err := os.ReadFile(homeFile)
	if err != nil {
		t.Fatal(err)
	}
	const mode = "\n  mode: recursive\n"
	home := strings.Replace(string(conf), mode, mode+"  trust_anchor: /etc/dens-root.ds\n", 1)
	hosts := beaconAddress + " " + strings.Join(beaconHosts, " ") + "\n"
	for name, text := range map[string]string{"home.yaml": home, "root.ds": anchor, "hosts": hosts} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script := `
dir=$1; shift
cp -a /etc "$dir/etc"
cat "$@" >> "$dir/etc/ssl/certs/ca-certificates.crt"
install -m 644 "$dir/root.ds" "$dir/etc/dens-root.ds"
cat "$dir/hosts" >> "$dir/etc/hosts"
mount --bind "$dir/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount --bind "$dir/home.yaml" configs/home.yaml
mkdir "$dir/bin"
mount --bind /usr/local/bin "$dir/bin"
mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
find "$dir/bin" -mindepth 1 -maxdepth 1 ! -name dens -exec ln -s {} /usr/local/bin/ ';'
`
	bed.Run(t, bed.Tool(t, "bash"), append([]string{"-ec", script, "bash", dir}, authorities...)...)
	t.Cleanup(func() {
		for _, path := range []string{"/usr/local/bin", filepath.Join(dir, "bin"), homeFile, "/var/lib", "/etc"} {
			if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", path, err)
			}
		}
	})
}
