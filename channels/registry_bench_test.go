package channels

import (
	"fmt"
	"runtime"
	"testing"
)

// shapes are the two extremes: everybody in one channel, and everybody in one
// of their own.
var shapes = []struct {
	name string
	of   func(n int) []string
}{
	{"one channel", func(n int) []string {
		names := make([]string, n)
		for i := range names {
			names[i] = "news"
		}
		return names
	}},
	{"a channel each", func(n int) []string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("private-user.%07d", i)
		}
		return names
	}},
}

var sizes = []int{1_000, 100_000, 1_000_000}

// BenchmarkSubscribe takes one subscription back and makes it again. The work is
// the same at every size; with a million channels each step misses the cache.
func BenchmarkSubscribe(b *testing.B) {
	for _, shape := range shapes {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				r, names := filled(n, shape.of)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					conn := int32(i * 7919 % n)
					r.Unsubscribe(conn, names[conn])
					r.Subscribe(conn, names[conn], 0)
				}
			})
		}
	}
}

func filled(n int, of func(n int) []string) (*Registry, []string) {
	r, _ := newRegistry(n)
	names := of(n)
	for i, name := range names {
		r.Subscribe(int32(i), name, 0)
	}
	return r, names
}

// BenchmarkWalk visits 10,000 subscribers.
func BenchmarkWalk(b *testing.B) {
	const n = 10_000
	r, _ := filled(n, shapes[0].of)
	b.ReportAllocs()
	var sum int64
	for b.Loop() {
		r.Walk("news")
		for s := r.Step(4096); s.Len() > 0; s = r.Step(4096) {
			for i := s.Len() - 1; i >= 0; i-- {
				sum += int64(s.Conn(i))
			}
		}
	}
	if sum == 0 {
		b.Error("nobody was visited")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/subscriber")
}

// BenchmarkMemory reports what a subscription costs at 100,000 of them, with the
// connection's list and the channel, without the channel's name.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			names := shape.of(n)
			var bytes float64
			for b.Loop() {
				before := heap()
				r, conns := newRegistry(n)
				for i, name := range names {
					r.Subscribe(int32(i), name, 0)
				}
				bytes = float64(heap()-before) / n
				runtime.KeepAlive(r)
				runtime.KeepAlive(conns)
			}
			b.ReportMetric(bytes, "B/subscription")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
