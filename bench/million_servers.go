package bench

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"resound/bench/process"
	"resound/bench/rest"
)

const (
	// keepAliveInterval is below the idle timeout of common servers and proxies.
	keepAliveInterval = 15 * time.Second

	// pinRounds bounds the search for a connection to each server process. Each
	// round finds about two thirds of those that are missing.
	pinRounds = 50
)

// server is one server process.
type server struct {
	child  *process.Child
	output *tail
}

// startServers starts the server processes on one port and returns once every
// reactor of each listens: the kernel spreads connections over the listeners there
// are.
func (m *million) startServers() error {
	path, folder, err := m.spawnPlace()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	app := newApp()
	environment := append(append([]string{historyHere}, spawnEnvironment(os.Environ(), app)...),
		"RESOUND_REUSE_PORT=true", "REVERB_APP_PING_INTERVAL="+m.settings.PingInterval.String())
	m.progress("starting %d server processes on port %d", m.plan.servers, port)
	for range m.plan.servers {
		s := server{output: &tail{}}
		s.child, err = m.children.Start(process.Command{
			Path:   path,
			Args:   []string{"start", "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--workers", strconv.Itoa(m.plan.workers)},
			Env:    environment,
			Dir:    folder,
			Stderr: s.output,
		})
		if err != nil {
			return err
		}
		go s.output.drain(s.child)
		m.servers = append(m.servers, s)
		m.pids = append(m.pids, s.child.PID)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	m.target = rest.Target{Address: address, Host: address, App: app}
	for end := time.Now().Add(spawnTimeout + time.Duration(m.plan.servers)*time.Second); ; {
		waiting, err := m.notListening(uint16(port))
		if err != nil || waiting == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d server processes do not listen on port %d with %d reactors", waiting, m.plan.servers, port, m.plan.workers)
		}
		if err := m.checkServers(); err != nil {
			return err
		}
		if err := m.pause(spawnPoll); err != nil {
			return err
		}
	}
}

// notListening returns how many server processes have fewer listeners on port than
// reactors.
func (m *million) notListening(port uint16) (waiting int, err error) {
	listeners := make([]int, len(m.servers))
	err = m.ownedSockets(func(owner int, s process.Socket) {
		if s.Listening && s.Local.Port() == port {
			listeners[owner]++
		}
	})
	for _, n := range listeners {
		if n < m.plan.workers {
			waiting++
		}
	}
	return waiting, err
}

// ownedSockets calls visit for each socket of a server process with the number of
// the process. It is for the time before the climb.
func (m *million) ownedSockets(visit func(owner int, s process.Socket)) error {
	sockets, err := process.ReadSockets()
	if err != nil {
		return err
	}
	owners := make(map[uint64]int)
	for i, pid := range m.pids {
		inodes, err := process.SocketInodes(pid)
		if err != nil {
			return m.endedOr(err)
		}
		for inode := range inodes {
			owners[inode] = i
		}
	}
	for _, s := range sockets {
		if owner, ok := owners[s.Inode]; ok {
			visit(owner, s)
		}
	}
	return nil
}

// endedOr returns the error of a server process that has ended, or else err.
func (m *million) endedOr(err error) error {
	if ended := m.checkServers(); ended != nil {
		return ended
	}
	return err
}

// checkServers returns an error when a server process has ended.
func (m *million) checkServers() error {
	for i, s := range m.servers {
		select {
		case <-s.child.Exited():
			return fmt.Errorf("server process %d of %d has ended; it wrote %q", i+1, len(m.servers), s.output)
		default:
		}
	}
	return nil
}

// pinPublishers finds a connection to each server process. Which of them the
// kernel gives a connection to is chance, so it opens many, looks up who holds the
// other ends, and keeps one for each.
func (m *million) pinPublishers() error {
	m.publishers = make([]*rest.Publisher, len(m.servers))
	m.closers = append(m.closers, func() {
		for _, p := range m.publishers {
			if p != nil {
				p.Close()
			}
		}
	})
	missing := len(m.servers)
	for range pinRounds {
		if err := m.pinMore(2 * missing); err != nil {
			return err
		}
		missing = 0
		for _, p := range m.publishers {
			if p == nil {
				missing++
			}
		}
		if missing == 0 {
			m.keptAlive = time.Now()
			return nil
		}
	}
	return fmt.Errorf("the kernel gave no connection to %d of %d server processes", missing, len(m.servers))
}

// pinMore opens so many connections and keeps those to processes that have none.
func (m *million) pinMore(attempts int) error {
	opened := make(map[netip.AddrPort]*rest.Publisher, attempts)
	defer func() {
		for _, p := range opened {
			p.Close()
		}
	}()
	for range attempts {
		p := rest.NewPublisher(m.target)
		address, err := p.Pin(time.Now().Add(m.settings.deliveryTimeout))
		if err != nil {
			return m.endedOr(err)
		}
		opened[address] = p
	}
	return m.ownedSockets(func(owner int, s process.Socket) {
		if p := opened[s.Remote]; p != nil && m.publishers[owner] == nil {
			m.publishers[owner] = p
			delete(opened, s.Remote)
		}
	})
}

// keepAlive says something on each publisher's connection when it is time.
func (m *million) keepAlive() error {
	if time.Since(m.keptAlive) < keepAliveInterval {
		return nil
	}
	m.keptAlive = time.Now()
	return m.atEachServer(func(p *rest.Publisher, deadline time.Time) error { return p.KeepAlive(deadline) })
}
