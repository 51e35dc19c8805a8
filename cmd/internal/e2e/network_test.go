package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// network is some hosts on one cable: network namespaces on a bridge, which is in a
// namespace too. Nothing of it is outside of them, and they end with the processes
// that keep them, which the kernel ends with the test binary.
type network struct {
	t     *testing.T
	hub   *process
	hosts int
}

// machine is one of them. Its programs are reached by way of its loopback.
type machine struct {
	*process
	network *network
	address string
	port    string // of the bridge
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this test needs root: it makes network namespaces")
	}
	var missing []string
	for _, name := range []string{"ip", "tc", "unshare", "nsenter", "nft"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name+" (Debian packages iproute2, util-linux and nftables)")
		}
	}
	skipWithout(t, missing)
	if out, err := exec.Command("unshare", "-n", "ip", "link", "add", "br0", "type", "bridge").CombinedOutput(); err != nil {
		skipWithout(t, []string{fmt.Sprintf("network namespaces with a bridge, and this host gives none: %v: %s", err, out)})
	}
	n := &network{t: t, hub: keepNamespace(t)}
	inside(t, n.hub, "ip", "link", "add", "br0", "type", "bridge")
	inside(t, n.hub, "ip", "link", "set", "br0", "up")
	return n
}

// keepNamespace starts a process in a network namespace of its own.
func keepNamespace(t *testing.T) *process {
	t.Helper()
	p := launch(t, exec.Command("unshare", "-n", "sleep", "infinity"))
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is there", func() bool {
		its, err := os.Readlink(p.namespace())
		return err == nil && its != ours
	})
	return p
}

func (p *process) namespace() string { return fmt.Sprintf("/proc/%d/ns/net", p.cmd.Process.Pid) }

// into has a command run in the namespace of p.
func into(p *process, cmd *exec.Cmd) *exec.Cmd {
	enter := exec.Command("nsenter", append([]string{"--net=" + p.namespace(), cmd.Path}, cmd.Args[1:]...)...)
	enter.Dir, enter.Env = cmd.Dir, cmd.Env
	return enter
}

// inside runs a command in the namespace of p.
func inside(t *testing.T, p *process, name string, args ...string) {
	t.Helper()
	if out, err := into(p, exec.Command(name, args...)).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// host adds a host to the cable.
func (n *network) host() *machine {
	n.t.Helper()
	n.hosts++
	h := &machine{process: keepNamespace(n.t), network: n, address: fmt.Sprint("10.77.0.", n.hosts), port: fmt.Sprint("port", n.hosts)}
	inside(n.t, n.hub, "ip", "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(h.cmd.Process.Pid))
	inside(n.t, n.hub, "ip", "link", "set", h.port, "master", "br0", "up")
	inside(n.t, h.process, "ip", "address", "add", h.address+"/24", "dev", "eth0")
	inside(n.t, h.process, "ip", "link", "set", "lo", "up")
	inside(n.t, h.process, "ip", "link", "set", "eth0", "up")
	return h
}

// pull takes the hosts off the cable: what they and others send is lost in silence.
func (n *network) pull(hosts ...*machine) {
	n.t.Helper()
	for _, h := range hosts {
		inside(n.t, n.hub, "ip", "link", "set", h.port, "down")
	}
}

func (n *network) plug(hosts ...*machine) {
	n.t.Helper()
	for _, h := range hosts {
		inside(n.t, n.hub, "ip", "link", "set", h.port, "up")
	}
}

// worsen makes the cable of h slow, and loses one packet in ten that comes by it.
func (h *machine) worsen() {
	h.network.t.Helper()
	inside(h.network.t, h.process, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "256kbit", "burst", "4kb", "latency", "400ms")
	inside(h.network.t, h.process, "nft", "add table ip lossy; add chain ip lossy in { type filter hook input priority 0; };"+
		" add rule ip lossy in iifname eth0 numgen random mod 10 < 1 drop")
}

// deafen drops everything that h would send to another; it still hears that one.
func (h *machine) deafen(to *machine) {
	h.network.t.Helper()
	inside(h.network.t, h.process, "ip", "route", "add", "blackhole", to.address+"/32")
}

func (h *machine) undeafen(to *machine) {
	h.network.t.Helper()
	inside(h.network.t, h.process, "ip", "route", "del", "blackhole", to.address+"/32")
}

// dial connects to a port of the host's loopback. A socket belongs to the namespace in
// which it was made, whoever uses it.
func (h *machine) dial(port int) (c net.Conn, err error) {
	runtime.LockOSThread()
	// The thread is given back as it was: if it ended, the kernel would end the
	// processes that it had started.
	defer runtime.UnlockOSThread()
	ours, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	its, err := os.Open(h.namespace())
	if err != nil {
		return nil, err
	}
	defer its.Close()
	if err := unix.Setns(int(its.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	c, err = net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	if back := unix.Setns(int(ours.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back)
	}
	return c, err
}

// forward passes connections from a port of this host on to one of h, until the test
// ends, and returns it.
func (h *machine) forward(port int) int {
	t := h.network.t
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := h.dial(port)
			if err != nil {
				in.Close()
				continue
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// redis starts a Redis on the host.
func (h *machine) redis() {
	t := h.network.t
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		skipWithout(t, []string{"redis-server (Debian package redis-server, 7 or later)"})
	}
	cmd := exec.Command(path, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--appendonly", "no")
	cmd.Dir = t.TempDir()
	launch(t, into(h.process, cmd)).expectOutput(t, `Ready to accept connections`)
}

// node starts a node on the host.
func (h *machine) node(redis *machine) *server {
	t := h.network.t
	t.Helper()
	env := testApp.environment()
	env["REVERB_SCALING_ENABLED"], env["REDIS_HOST"], env["RESOUND_DRAIN_TIMEOUT"] = "true", redis.address, "0"
	s := &server{process: launch(t, into(h.process, command(t, "", env, append([]string{"start"}, anyPort...)...)))}
	port, err := strconv.Atoi(s.expectOutput(t, `Starting server on 127\.0\.0\.1:(\d+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	s.port = h.forward(port)
	s.expectUp(t)
	return s
}

// TestClusterOfHostsThatAreCutOff: three nodes and a Redis, each on a host of its own.
func TestClusterOfHostsThatAreCutOff(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	redis := n.host()
	redis.redis()
	var hosts []*machine
	var s []*server
	for i := range 3 {
		hosts = append(hosts, n.host())
		s = append(s, hosts[i].node(redis))
	}
	const room = "presence-room"
	ann, bob, carol := open(t, s[0]), open(t, s[1]), open(t, s[2])
	ann.join(t, room, memberOf("ann"))
	bob.join(t, room, memberOf("bob"))
	carol.join(t, room, memberOf("carol"))
	expectRoster(t, s[1], ann, room, "ann", "ann bob carol")
	expectRoster(t, s[2], bob, room, "ann bob", "ann bob carol")

	ready := func(i int, degraded bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("node %d: degraded is %v", i+1, degraded), func() bool {
			got := request(t, http.MethodGet, s[i].url("/ready"), "")
			return got.status == http.StatusOK && strings.Contains(got.body, "degraded") == degraded
		})
	}
	// whole waits until all nodes answer alike and their members know it.
	whole := func(known map[*socket]string, want string) {
		t.Helper()
		for i := range s {
			ready(i, false)
		}
		for i := range s {
			eventually(t, "node "+strconv.Itoa(i+1)+" knows "+want, func() bool {
				got := s[i].api().get(t, "/channels/"+room, "user_count").body
				return sameJSON(got, fmt.Sprintf(`{"occupied":true,"user_count":%d}`, len(strings.Fields(want))))
			})
		}
		for k, roster := range known {
			for i := range s {
				expectRoster(t, s[i], k, room, roster, want)
				roster = want
			}
		}
	}

	reader := open(t, s[0])
	reader.join(t, "news", "")

	t.Run("one node", func(t *testing.T) {
		n.pull(hosts[1])
		ready(1, true)
		expectRoster(t, s[0], ann, room, "ann bob carol", "ann carol")
		expectRoster(t, s[0], carol, room, "ann bob carol", "ann carol")
		// It goes on by itself, and keeps for the others what they miss.
		dave := open(t, s[1])
		dave.join(t, room, memberOf("dave"))
		expectRoster(t, s[1], bob, room, "ann bob carol", "ann bob carol dave")
		s[1].api().trigger(t, "news", "Spooled", "{}")
		n.plug(hosts[1])
		reader.expectEvent(t, "Spooled", "news", "{}")
		whole(map[*socket]string{ann: "ann carol", bob: "ann bob carol dave", carol: "ann carol"}, "ann bob carol dave")
		dave.close(t)
		whole(map[*socket]string{ann: "ann bob carol dave", bob: "ann bob carol dave", carol: "ann bob carol dave"}, "ann bob carol")
	})
	if t.Failed() {
		return
	}

	t.Run("each by itself", func(t *testing.T) {
		n.pull(redis)
		for i := range s {
			ready(i, true)
		}
		expectRoster(t, s[0], ann, room, "ann bob carol", "ann bob carol")
		erin := open(t, s[2])
		erin.join(t, room, memberOf("erin"))
		expectRoster(t, s[2], carol, room, "ann bob carol", "ann bob carol erin")
		n.plug(redis)
		whole(map[*socket]string{ann: "ann bob carol", bob: "ann bob carol", carol: "ann bob carol erin"}, "ann bob carol erin")
		erin.close(t)
		whole(map[*socket]string{ann: "ann bob carol erin", bob: "ann bob carol erin", carol: "ann bob carol erin"}, "ann bob carol")
	})
	if t.Failed() {
		return
	}

	t.Run("two of three", func(t *testing.T) {
		n.pull(hosts[0], hosts[2])
		ready(0, true)
		ready(2, true)
		expectRoster(t, s[1], bob, room, "ann bob carol", "bob")
		n.plug(hosts[0], hosts[2])
		whole(map[*socket]string{ann: "ann bob carol", bob: "bob", carol: "ann bob carol"}, "ann bob carol")
	})
	if t.Failed() {
		return
	}

	t.Run("in one direction", func(t *testing.T) {
		redis.deafen(hosts[2])
		ready(2, true)
		expectRoster(t, s[0], ann, room, "ann bob carol", "ann bob")
		redis.undeafen(hosts[2])
		hosts[1].deafen(redis)
		ready(1, true)
		hosts[1].undeafen(redis)
		whole(map[*socket]string{ann: "ann bob", carol: "ann bob carol"}, "ann bob carol")
	})
	if t.Failed() {
		return
	}

	t.Run("slow and lossy", func(t *testing.T) {
		reader := open(t, s[0]) // the other one is about to be pinged
		reader.join(t, "news", "")
		for _, h := range hosts {
			h.worsen()
		}
		frank := open(t, s[1])
		frank.join(t, room, memberOf("frank"))
		expectRoster(t, s[1], ann, room, "ann bob carol", "ann bob carol frank")
		for i := range 20 {
			s[i%3].api().trigger(t, "news", fmt.Sprint("Lossy", i), "{}")
			reader.expectEvent(t, fmt.Sprint("Lossy", i), "news", "{}")
		}
		frank.close(t)
		expectRoster(t, s[2], ann, room, "ann bob carol frank", "ann bob carol")
		whole(map[*socket]string{ann: "ann bob carol"}, "ann bob carol")
	})
}
