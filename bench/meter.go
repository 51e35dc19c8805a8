package bench

import (
	"os"
	"slices"
	"time"

	"resound/bench/process"
)

// meter measures what a subject and its generator consume from its creation on.
type meter struct {
	start   int64 // nanoseconds
	server  []int
	clients []int
	used    process.CPU
	spent   []process.CPU // by client
	own     process.CPU   // of the coordinator
	host    time.Duration // of everything
}

func newMeter(server, clients []int) (*meter, error) {
	m := &meter{server: server, clients: clients}
	var err error
	if m.used, err = process.ReadCPU(server); err != nil {
		return nil, err
	}
	for _, pid := range clients {
		spent, err := process.ReadCPU([]int{pid})
		if err != nil {
			return nil, err
		}
		m.spent = append(m.spent, spent)
	}
	if m.own, err = process.ReadCPU(coordinator()); err != nil {
		return nil, err
	}
	if m.host, err = process.HostBusy(); err != nil {
		return nil, err
	}
	m.start = process.Nanos()
	return m, nil
}

// round returns a round of operations that ends now.
func (m *meter) round(operations uint64) (Round, error) {
	elapsed := time.Duration(process.Nanos() - m.start)
	r := Round{Operations: operations, Seconds: elapsed.Seconds(), PerSecond: float64(operations) / elapsed.Seconds()}
	for i, pid := range m.clients {
		now, err := process.ReadCPU([]int{pid})
		if err != nil {
			return r, err
		}
		cores := float64(now.Sub(m.spent[i]).Total) / float64(elapsed)
		r.ClientCores += cores
		r.BusiestCore = max(r.BusiestCore, cores)
	}
	if len(m.server) == 0 {
		return r, nil // what is not ours cannot be told from the server
	}
	now, err := process.ReadCPU(m.server)
	if err != nil {
		return r, err
	}
	used := now.Sub(m.used).Total
	cores := float64(used) / float64(elapsed)
	r.ServerCores = &cores
	if operations > 0 {
		micros := float64(used) / float64(time.Microsecond) / float64(operations)
		r.CPUMicros = &micros
	}
	r.OtherCores, err = m.others(elapsed, cores+r.ClientCores)
	return r, err
}

// others returns how many cores were busy with what is no part of the measurement,
// when known cores were busy with server and clients.
func (m *meter) others(elapsed time.Duration, known float64) (float64, error) {
	host, err := process.HostBusy()
	if err != nil {
		return 0, err
	}
	others := float64(host-m.host)/float64(elapsed) - known
	if !slices.Contains(m.clients, os.Getpid()) {
		own, err := process.ReadCPU(coordinator())
		if err != nil {
			return 0, err
		}
		others -= float64(own.Sub(m.own).Total) / float64(elapsed)
	}
	return max(others, 0), nil
}

// coordinator is this process.
func coordinator() []int { return []int{os.Getpid()} }
