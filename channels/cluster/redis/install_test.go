package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"resound/channels/cluster"
	"resound/channels/cluster/clustertest"
)

// direct is a cluster whose nodes reach Redis without a proxy, for the tests of
// the suite that need no fault.
type direct struct {
	t       *testing.T
	options Options
	publish func(topic, message string)
}

func (c *direct) Node(t *testing.T) cluster.Adapter { return newAdapter(t, c.options) }
func (c *direct) Outage()                           { c.t.Skip("no outages here") }
func (c *direct) Restore()                          {}
func (c *direct) Expire()                           {}
func (c *direct) Kill(a cluster.Adapter)            { a.(*Adapter).stop() }
func (c *direct) Pause(cluster.Adapter)             { c.t.Skip("no pauses here") }
func (c *direct) Resume(cluster.Adapter)            {}
func (c *direct) Junk(t *testing.T, ch cluster.Channel) int {
	n := newNames(c.options.Prefix, c.options.Database, defaultTopics)
	c.publish(n.topicName(n.topic(ch)), "junk")
	return 1
}

// startClusterServer starts a server for a Redis Cluster, and says where its bus is.
func startClusterServer(t *testing.T, args ...string) (s *server, bus string) {
	t.Helper()
	bus = fmt.Sprint(freePort(t)) // port + 10000 by default
	return startServer(t, append(args, "--cluster-enabled", "yes", "--cluster-config-file", "nodes",
		"--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0", "--cluster-port", bus)...), bus
}

// startCluster starts a Redis Cluster of three masters.
func startCluster(t *testing.T, args ...string) []*server {
	t.Helper()
	var servers []*server
	var buses []string
	for range 3 {
		s, bus := startClusterServer(t, args...)
		servers, buses = append(servers, s), append(buses, bus)
	}
	ranges := [][2]string{{"0", "5460"}, {"5461", "10922"}, {"10923", "16383"}}
	for i, s := range servers {
		s.do("CLUSTER", "ADDSLOTSRANGE", ranges[i][0], ranges[i][1])
		servers[0].do("CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(s.port), buses[i])
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		ok := 0
		for _, s := range servers {
			if info := s.do("CLUSTER", "INFO"); strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				ok++
			}
		}
		if ok == len(servers) {
			return servers
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster does not come up: %s", servers[0].do("CLUSTER", "INFO"))
		}
		time.Sleep(20 * time.Millisecond) // it gossips ten times a second
	}
}

func TestRedisClusterOfThree(t *testing.T) {
	servers := startCluster(t)
	o := testOptions(t)
	o.Mode, o.Addresses = Cluster, []string{servers[1].address()}

	clustertest.Run(t, func(t *testing.T) clustertest.Cluster {
		o := o
		o.Prefix, o.Logger = t.Name(), testOptions(t).Logger
		return &direct{t, o, func(topic, message string) {
			// Each message is refused by the servers that do not have the slot.
			for _, s := range servers {
				c := s.client()
				c.Do(context.Background(), c.B().Spublish().Channel(topic).Message(message).Build())
				c.Close()
			}
		}}
	})

	t.Run("a slot that moves takes its channels along", func(t *testing.T) {
		a, l := join(t, o)
		publisher, _ := join(t, o)
		c := named("presence-room")
		a.Watch(c, true)
		l.until(t, "watched", func() bool { return l.watched[c.Name] == 1 })
		move(t, servers, slotOfChannel(a, c))
		l.until(t, "watched again", func() bool { return l.watched[c.Name] >= 2 })
		publisher.Publish(cluster.Publication{Channel: c, Payload: []byte("x")})
		l.until(t, "delivered", func() bool { return len(l.delivered[c.Name]) == 1 })
	})
}

func TestSentinelLeadsToTheNewMaster(t *testing.T) {
	master := startServer(t)
	replica := startServer(t, "--replicaof", "127.0.0.1 "+fmt.Sprint(master.port), "--repl-diskless-sync-delay", "0")
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(replica.text("INFO", "replication"), "master_link_status:up"); {
		if time.Now().After(deadline) {
			t.Fatal("the replica does not follow")
		}
	}
	dir, port := t.TempDir(), freePort(t)
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %s
sentinel monitor main 127.0.0.1 %d 1
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 2000
`, port, dir, master.port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := exec.Command("redis-server", conf, "--sentinel")
	sentinel.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := sentinel.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sentinel.Process.Kill()
		_ = sentinel.Wait()
	})
	watcher := &server{t: t, port: port}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if c, err := net.Dial("tcp", watcher.address()); err == nil {
			c.Close()
			if strings.Contains(watcher.text("INFO", "sentinel"), "slaves=1") {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the sentinel does not see the replica")
		}
		time.Sleep(20 * time.Millisecond) // it asks the master every second at first
	}

	o := testOptions(t)
	o.Mode, o.Master, o.Addresses = Sentinel, "main", []string{watcher.address()}
	a, l := join(t, o)
	c := named("presence-room")
	l.onRestate = func() {
		a.Watch(c, true)
		a.Seat(c, cluster.Member{ID: "ann"})
	}
	l.onRestate()
	l.until(t, "stated", func() bool { return l.seated["ann"] != 0 && l.watched[c.Name] == 1 })
	l.note(func() { l.seated["ann"] = 0 })
	master.kill()
	l.until(t, "stated to the new master", func() bool { return l.seated["ann"] != 0 && l.watched[c.Name] >= 2 && !l.degraded })
	if role := replica.text("INFO", "replication"); !strings.Contains(role, "role:master") {
		t.Errorf("the replica is no master: %s", role)
	}
	publisher, _ := join(t, o)
	publisher.Publish(cluster.Publication{Channel: c, Payload: []byte("x")})
	l.until(t, "delivered", func() bool { return len(l.delivered[c.Name]) == 1 })
}

// certificate makes a certificate for 127.0.0.1 that is its own authority.
func certificate(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private), pool
}

func TestTLSWithACLAndDatabase(t *testing.T) {
	certFile, keyFile, pool := certificate(t, t.TempDir())
	port := freePort(t)
	s := startServer(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", certFile, "--tls-auth-clients", "no")
	// The least that a node needs; docs/adr/0012-cluster-state-in-redis.md tells it.
	s.do("ACL", "SETUSER", "node", "on", ">secret", "resetchannels", "~{tls:3*", "&{tls:3*", "-@all",
		"+@connection", "+@pubsub", "+@scripting", "+@hash", "+@set", "+@sortedset", "+@string", "+@stream",
		"+exists", "+pttl", "+expire", "+del", "+time", "+info", "+role")
	o := testOptions(t)
	o.Addresses = []string{fmt.Sprintf("127.0.0.1:%d", port)}
	o.TLS = &tls.Config{RootCAs: pool}
	o.Username, o.Password, o.Database, o.Prefix = "node", "secret", 3, "tls"
	a, l := join(t, o)
	publisher, _ := join(t, o)
	c := named("presence-cache-room")
	a.Watch(c, true)
	a.Seat(c, cluster.Member{ID: "ann"})
	a.Hold(c, 1, false)
	l.until(t, "seated", func() bool { return l.seated["ann"] != 0 && l.watched[c.Name] == 1 })
	publisher.Publish(cluster.Publication{Channel: c, Payload: []byte("kept"), Keep: time.Minute})
	publisher.Publish(cluster.Publication{Channel: c, Payload: []byte("plain")})
	l.until(t, "delivered", func() bool { return len(l.delivered[c.Name]) == 2 })
	if err := a.Describe("me"); err != nil {
		t.Error(err)
	}
	l.until(t, "described", func() bool {
		nodes, err := publisher.Nodes(t.Context())
		return err == nil && len(nodes) == 2 && nodes[0].Text+nodes[1].Text == "me"
	})
	q := openQueue(t, a, OutboxOptions{})
	put(t, q, "event")
	drain(t, q, 1)
	if rows, err := publisher.Channels(t.Context(), "app", "", 1<<20); err != nil || len(rows) != 1 {
		t.Errorf("channels: got %v, %v", rows, err)
	}
	if space := s.text("INFO", "keyspace"); strings.Contains(space, "db0") || !strings.Contains(space, "db3") {
		t.Errorf("keys are in the wrong database: %s", space)
	}

	t.Run("a wrong password is an outage, not a crash", func(t *testing.T) {
		o.Password = "wrong"
		_, l := join(t, o)
		l.until(t, "degraded", func() bool { return l.degraded })
	})
}

func TestInstallationsWithOtherPrefixesOrDatabasesDoNotMeet(t *testing.T) {
	s := startServer(t)
	first := s.options(t)
	prefix, database := first, first
	prefix.Prefix, database.Database = "another", 1
	a, l := join(t, first)
	c := named("presence-room")
	follow(t, a, l, c)
	for _, o := range []Options{prefix, database} {
		b, m := join(t, o)
		b.Publish(cluster.Publication{Channel: c, Payload: []byte("foreign")})
		b.Terminate("app", "ann")
		b.Seat(c, cluster.Member{ID: "ann"})
		m.until(t, "seated", func() bool { return m.seated["ann"] != 0 && b.Stats().Spooled == 0 })
	}
	if members, err := a.Members(t.Context(), c); err != nil || len(members) != 0 {
		t.Errorf("members: got %v, %v", members, err)
	}
	other, _ := join(t, first)
	other.Publish(cluster.Publication{Channel: c, Payload: []byte("own")})
	l.until(t, "own", func() bool { return len(l.delivered[c.Name]) > 0 })
	if got := l.delivered[c.Name]; len(got) != 1 || got[0] != "own" {
		t.Errorf("delivered: got %q", got)
	}
}
