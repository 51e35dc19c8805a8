package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Census is what the million scenario found out beyond its rounds and its memory.
type Census struct {
	Servers int `json:"servers"` // processes on one port
	Workers int `json:"workers"` // reactors of each
	Clients int `json:"clients"` // processes
	Retried int `json:"retried"` // connections refused before their subscription and tried again

	// Memory per connection beyond that of the server processes and the kernel's
	// slabs: TCP queues at rest, client processes, and the fall of what the host
	// calls available, which is everything together.
	BufferBytesPerConnection float64 `json:"buffer_bytes_per_connection"`
	ClientBytesPerConnection float64 `json:"client_bytes_per_connection"`
	HostBytesPerConnection   float64 `json:"host_bytes_per_connection"`
	Caches                   []Cache `json:"caches,omitempty"` // slabs that grew, when they may be read

	EndBytes   int64  `json:"end_bytes"`  // resident in the server processes at the end of the hold
	Pings      uint64 `json:"pings"`      // answered since the first connection
	Events     uint64 `json:"events"`     // each triggered at every server process
	Deliveries uint64 `json:"deliveries"` // of them
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	Reordered  uint64 `json:"reordered"`
}

// Cache is a slab cache of the kernel.
type Cache struct {
	Name               string  `json:"name"`
	BytesPerConnection float64 `json:"bytes_per_connection"`
}

// minCacheBytes is the growth per connection from which a cache is worth a line.
const minCacheBytes = 32

// grownCaches returns what each cache grew by per connection, most first.
func grownCaches(before, after map[string]int64, connections float64) []Cache {
	var grown []Cache
	for name, bytes := range after {
		if per := float64(bytes-before[name]) / connections; per >= minCacheBytes {
			grown = append(grown, Cache{name, per})
		}
	}
	slices.SortFunc(grown, func(a, b Cache) int {
		return cmp.Or(cmp.Compare(b.BytesPerConnection, a.BytesPerConnection), cmp.Compare(a.Name, b.Name))
	})
	return grown
}

// write writes it below the table of the result.
func (c *Census) write(w io.Writer) {
	if c == nil {
		return
	}
	fmt.Fprintf(w, "%d server processes with %d reactors each, %d client processes, %d connections tried again\n",
		c.Servers, c.Workers, c.Clients, c.Retried)
	fmt.Fprintf(w, "beside servers and slabs, per connection: %.0f bytes of TCP queues, %.0f in the clients; the whole host %.0f\n",
		c.BufferBytesPerConnection, c.ClientBytesPerConnection, c.HostBytesPerConnection)
	if len(c.Caches) > 0 {
		fmt.Fprint(w, "slabs per connection, both ends:")
		for _, cache := range c.Caches {
			fmt.Fprintf(w, " %s %.0f", cache.Name, cache.BytesPerConnection)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d pings answered, %d events, %d deliveries, %d lost, %d duplicated, %d reordered; servers %d kB at the end\n\n",
		c.Pings, c.Events, c.Deliveries, c.Lost, c.Duplicated, c.Reordered, c.EndBytes>>10)
}
