package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"resound/channels/cluster"
)

// counter is a Deliverer that counts.
type counter struct {
	*listener
	delivered atomic.Int64
	done      chan struct{}
	want      int64
}

func (c *counter) Deliver(cluster.Publication, bool) {
	if c.delivered.Add(1) == c.want {
		close(c.done)
	}
}

func benchOptions(b *testing.B, s *server) Options {
	return Options{Addresses: []string{s.address()}, Prefix: b.Name()}
}

func benchJoin(b *testing.B, o Options, d cluster.Deliverer) *Adapter {
	b.Helper()
	a, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	if err := a.Start(b.Context(), d); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}

const (
	benchChannels = 64
	rawBatch      = 64
)

var benchPayload = []byte(`{"event":"App\\Events\\Tick","channel":"chat","data":"{\"price\":\"12345.67\",\"at\":1700000000}"}`)

// BenchmarkPublish is small events from one adapter to another.
func BenchmarkPublish(b *testing.B) {
	s := startServer(b)
	d := &counter{listener: newListener(), done: make(chan struct{}), want: int64(b.N)}
	subscriber := benchJoin(b, benchOptions(b, s), d)
	publisher := benchJoin(b, benchOptions(b, s), newListener())
	channels := make([]cluster.Channel, benchChannels)
	for i := range channels {
		channels[i] = named(fmt.Sprint("chat", i))
		subscriber.Watch(channels[i], false)
	}
	d.until(b, "watched", func() bool { return len(d.watched) == benchChannels })
	before, cpu := s.info("total_net_output_bytes"), s.cpu()+ownCPU(b)
	b.ResetTimer()
	for i := range b.N {
		for i%1024 == 0 && publisher.Stats().Spooled > 20_000 {
			time.Sleep(time.Millisecond) // the spool would overflow
		}
		publisher.Publish(cluster.Publication{Channel: channels[i%benchChannels], Payload: benchPayload})
	}
	<-d.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((s.cpu()+ownCPU(b)-cpu)/float64(b.N), "cpu-us/event") // of Redis and both sides
	b.ReportMetric(float64(s.info("total_net_output_bytes")-before)/float64(b.N), "bus-B/event")
}

// BenchmarkRawPublish is the same events by DoMulti of 64 from 4 goroutines and a
// bare subscriber: what the adapter is measured against.
func BenchmarkRawPublish(b *testing.B) {
	s := startServer(b)
	publisher, subscriber := s.client(), s.client()
	defer publisher.Close()
	defer subscriber.Close()
	dedicated, release := subscriber.Dedicate()
	defer release()
	var delivered atomic.Int64
	done := make(chan struct{})
	dedicated.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(rueidis.PubSubMessage) {
		if delivered.Add(1) == int64(b.N) {
			close(done)
		}
	}})
	for i := range benchChannels {
		if err := dedicated.Do(b.Context(), dedicated.B().Subscribe().Channel(fmt.Sprint("chat", i)).Build()).Error(); err != nil {
			b.Fatal(err)
		}
	}
	payload := string(benchPayload)
	cpu := s.cpu() + ownCPU(b)
	b.ResetTimer()
	var group sync.WaitGroup
	for g := range laneCount {
		group.Go(func() {
			for i := g; i < b.N; i += laneCount * rawBatch {
				commands := make(rueidis.Commands, 0, rawBatch)
				for j := i; j < b.N && len(commands) < rawBatch; j += laneCount {
					commands = append(commands, publisher.B().Publish().Channel(fmt.Sprint("chat", j%benchChannels)).Message(payload).Build())
				}
				for _, r := range publisher.DoMulti(context.Background(), commands...) {
					if r.Error() != nil {
						b.Error(r.Error())
						return
					}
				}
			}
		})
	}
	group.Wait()
	<-done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((s.cpu()+ownCPU(b)-cpu)/float64(b.N), "cpu-us/event")
}

// stamped is a Deliverer that passes on when events came.
type stamped struct {
	*listener
	came chan time.Time
}

func (s *stamped) Deliver(cluster.Publication, bool) { s.came <- time.Now() }

// BenchmarkLatency is an event from one adapter to another at 1,000 a second, in turn
// with one by a bare PUBLISH and subscriber: what the bus adds is the difference.
func BenchmarkLatency(b *testing.B) {
	s := startServer(b)
	d := &stamped{newListener(), make(chan time.Time, 1)}
	subscriber := benchJoin(b, benchOptions(b, s), d)
	publisher := benchJoin(b, benchOptions(b, s), newListener())
	c := named("chat")
	subscriber.Watch(c, false)
	d.until(b, "watched", func() bool { return len(d.watched) == 1 })
	bare, heard := s.client(), s.client()
	defer bare.Close()
	defer heard.Close()
	dedicated, release := heard.Dedicate()
	defer release()
	came := make(chan time.Time, 1)
	dedicated.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(rueidis.PubSubMessage) { came <- time.Now() }})
	if err := dedicated.Do(b.Context(), dedicated.B().Subscribe().Channel("chat").Build()).Error(); err != nil {
		b.Fatal(err)
	}
	var adapter, raw []time.Duration
	pace := time.NewTicker(500 * time.Microsecond)
	defer pace.Stop()
	b.ResetTimer()
	for range b.N {
		<-pace.C
		began := time.Now()
		publisher.Publish(cluster.Publication{Channel: c, Payload: benchPayload})
		adapter = append(adapter, (<-d.came).Sub(began))
		<-pace.C
		began = time.Now()
		bare.Do(b.Context(), bare.B().Publish().Channel("chat").Message(string(benchPayload)).Build())
		raw = append(raw, (<-came).Sub(began))
	}
	b.StopTimer()
	report := func(name string, list []time.Duration) {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds()), name+"-p50-us")
		b.ReportMetric(float64(list[len(list)*99/100].Microseconds()), name+"-p99-us")
	}
	report("adapter", adapter)
	report("bare", raw)
}

// BenchmarkSeat is one join and one leave of a channel that has that many members,
// of those that are owed by way of the journal: the microseconds are the CPU of Redis.
func BenchmarkSeat(b *testing.B) {
	for _, test := range []struct {
		members int
		owed    bool
	}{{10, false}, {10_000, false}, {10, true}} {
		members := test.members
		b.Run(fmt.Sprint(members, " owed=", test.owed), func(b *testing.B) {
			s := startServer(b)
			d := newListener()
			o := benchOptions(b, s)
			if test.owed {
				o.Owed = func(cluster.Channel) bool { return true }
			}
			a := benchJoin(b, o, d)
			c := named("presence-room")
			for i := range members {
				a.Seat(c, cluster.Member{ID: fmt.Sprint(i), IDJSON: "1", Info: `{"name":"somebody"}`})
			}
			d.until(b, "seated", func() bool { return len(d.seated) == members })
			before := s.cpu()
			b.ResetTimer()
			for i := range b.N {
				user := fmt.Sprint("new", i)
				a.Seat(c, cluster.Member{ID: user, IDJSON: "1", Info: `{"name":"somebody"}`})
				a.Unseat(c, user)
			}
			last := fmt.Sprint("new", b.N-1)
			d.until(b, "seated", func() bool { return d.seated[last] != 0 })
			if test.owed {
				d.until(b, "told", func() bool { return len(d.decided) == members+2*b.N })
			}
			b.StopTimer()
			b.ReportMetric((s.cpu()-before)/float64(b.N), "redis-us/join+leave")
		})
	}
}

// BenchmarkWatchRoster is reading the snapshot of a channel of 10,000 members.
func BenchmarkWatchRoster(b *testing.B) {
	s := startServer(b)
	d := newListener()
	a := benchJoin(b, benchOptions(b, s), d)
	c := named("presence-room")
	const members = 10_000
	for i := range members {
		a.Seat(c, cluster.Member{ID: fmt.Sprint(i), IDJSON: "1", Info: `{"name":"somebody"}`})
	}
	d.until(b, "seated", func() bool { return len(d.seated) == members })
	before := s.cpu()
	b.ResetTimer()
	for range b.N {
		a.Watch(c, true)
	}
	d.until(b, "watched", func() bool { return d.watched[c.Name] == b.N })
	b.StopTimer()
	b.ReportMetric((s.cpu()-before)/float64(b.N), "redis-us/snapshot")
}

// BenchmarkChannels lists an app's channels, one in ten of them a presence channel.
// Meanwhile another connection looks how long Redis does not answer.
func BenchmarkChannels(b *testing.B) {
	for _, channels := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) {
			s := startServer(b)
			a := benchJoin(b, benchOptions(b, s), newListener())
			occupy(b, s, a, channels)
			client := s.client()
			defer client.Close()
			ctx, stop := context.WithCancel(b.Context())
			var waited []time.Duration
			var group sync.WaitGroup
			group.Go(func() {
				for ctx.Err() == nil {
					began := time.Now()
					client.Do(ctx, client.B().Ping().Build())
					waited = append(waited, time.Since(began))
					time.Sleep(time.Millisecond) // a bystander, not a load
				}
			})
			before := s.cpu()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				rows, err := a.Channels(b.Context(), "app", "", 1<<20)
				if err != nil || len(rows) != channels {
					b.Fatalf("%d channels, %v", len(rows), err)
				}
			}
			b.StopTimer()
			stop()
			group.Wait()
			slices.Sort(waited)
			b.ReportMetric((s.cpu()-before)/float64(b.N)/1000, "redis-ms/op")
			b.ReportMetric(float64(waited[len(waited)*99/100].Microseconds())/1000, "ping-p99-ms")
			b.ReportMetric(float64(waited[len(waited)-1].Microseconds())/1000, "ping-max-ms")
		})
	}
}

// occupy writes what holds of that many channels leave in Redis.
func occupy(b *testing.B, s *server, a *Adapter, channels int) {
	b.Helper()
	byBucket := make([][]string, buckets)
	var members []cluster.Channel
	for i := range channels {
		c := named(fmt.Sprint("private-orders.", i))
		if i%10 == 0 {
			c.Name = fmt.Sprint("presence-room.", i)
			members = append(members, c)
		}
		topic := a.names.topic(c)
		byBucket[bucketOf(topic)] = append(byBucket[bucketOf(topic)], a.names.cid(topic, c), "1")
	}
	client := s.client()
	defer client.Close()
	var commands rueidis.Commands
	for bucket, pairs := range byBucket {
		words := append([]string{"HSET", a.names.base[bucket] + ":o:app"}, pairs...)
		commands = append(commands, client.B().Arbitrary(words...).Build())
	}
	for _, c := range members {
		topic := a.names.topic(c)
		key := a.names.base[bucketOf(topic)] + ":m:" + a.names.cid(topic, c)
		commands = append(commands, client.B().Arbitrary("HSET", key, "ann", "1 x").Build())
	}
	for chunk := range slices.Chunk(commands, 64) {
		for _, result := range client.DoMulti(b.Context(), chunk...) {
			if err := result.Error(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRestate is three nodes that state everything again at the same time, as
// after a Redis that came back empty: channels in all, of which every third is a
// presence channel with a member. One round is from the flush until everything was
// said, subscribed and answered, with what is known by then; b.N should be small.
func BenchmarkRestate(b *testing.B) {
	const nodes = 3
	for _, channels := range []int{30_000, 300_000} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) {
			s := startServer(b)
			var list []*restating
			for range nodes {
				d := &restating{listener: newListener(), answered: make(map[string]bool)}
				d.adapter = benchJoin(b, benchOptions(b, s), d)
				for i := range channels / nodes {
					d.channels = append(d.channels, named(fmt.Sprint([]string{"", "", "presence-"}[i%3], "chat", i)))
				}
				d.onRestate = d.state
				list = append(list, d)
			}
			each := func(what string, ok func(d *restating) bool) {
				for _, d := range list {
					for deadline := time.Now().Add(5 * time.Minute); ; {
						d.mu.Lock()
						reached := ok(d)
						d.mu.Unlock()
						if reached {
							break
						}
						if time.Now().After(deadline) {
							b.Fatalf("not %s within 5 min: %+v", what, d.adapter.Stats())
						}
						time.Sleep(time.Millisecond) // a poll
					}
				}
			}
			for _, d := range list {
				d.state()
			}
			stated := func() {
				each("stated", func(d *restating) bool {
					return len(d.answered) == len(d.channels) && d.seats >= len(d.channels)/nodes
				})
			}
			stated()
			before, mine, reads := s.cpu(), ownCPU(b), s.info("total_reads_processed")
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				each("whole", func(d *restating) bool {
					whole := d.partial == 0
					if whole {
						clear(d.answered)
						d.seats = 0
					}
					return whole
				})
				b.StartTimer()
				s.do("FLUSHALL")
				stated()
			}
			b.StopTimer()
			b.ReportMetric((s.cpu()-before)/float64(b.N)/1e6, "redis-cpu-s/op")
			outages := uint64(0) // Redis or the host was too slow, and more was stated than once
			for _, d := range list {
				outages += d.adapter.Stats().Reconnect
			}
			b.ReportMetric(float64(outages)/float64(b.N), "outages/op")
			b.ReportMetric(float64(s.info("total_reads_processed")-reads)/float64(b.N), "redis-reads/op")
			b.ReportMetric((ownCPU(b)-mine)/float64(b.N)/1e6, "nodes-cpu-s/op")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
		})
	}
}

// BenchmarkOutbox is webhook events that are put, read and removed, a call of outboxScript
// for each 64; counts are of 20,000 channels in turn.
func BenchmarkOutbox(b *testing.B) {
	names := make([]string, 20_000)
	for i := range names {
		names[i] = fmt.Sprint("chat-room-", i)
	}
	for _, row := range []struct {
		name   string
		record func(i int) Record
	}{
		{"plain", func(int) Record { return Record{} }},
		{"count", func(i int) Record {
			return Record{Condition: Condition{Subject: names[i%len(names)], Number: uint64(i + 1)}}
		}},
		{"miss", func(i int) Record {
			return Record{Condition: Condition{Subject: names[i%len(names)], Once: time.Millisecond}}
		}},
		{"edge", func(int) Record { return Record{Condition: Condition{Teller: "0123456789abcdef:1"}} }},
	} {
		b.Run(row.name, func(b *testing.B) { benchOutbox(b, row.record) })
	}
}

func benchOutbox(b *testing.B, record func(i int) Record) {
	s := startServer(b)
	a := benchJoin(b, benchOptions(b, s), newListener())
	q := a.Outbox(OutboxOptions{}).Open(receiver)
	defer q.Close()
	before := s.cpu()
	b.ResetTimer()
	for put := 0; put < b.N; {
		left := min(maxAdded, b.N-put)
		for range left {
			r := record(put)
			r.Event, r.At = benchPayload, time.Unix(1_700_000_000, 0)
			if err := q.Put(r); err != nil {
				b.Fatal(err)
			}
			put++
		}
		for left > 0 {
			records, err := q.Peek(b.Context(), maxAdded, 1<<20)
			if err != nil {
				b.Fatal(err)
			}
			q.Remove(len(records))
			left -= len(records)
		}
	}
	b.StopTimer()
	b.ReportMetric((s.cpu()-before)/float64(b.N), "redis-cpu-us/op")
}

// restating is a node with what it states, and how much of that was answered.
type restating struct {
	*listener
	adapter  *Adapter
	channels []cluster.Channel
	answered map[string]bool
	partial  int // answers that others follow
	seats    int
}

func (r *restating) state() {
	for i, c := range r.channels {
		r.adapter.Watch(c, i%3 == 2)
		r.adapter.Hold(c, 1, false)
		if i%3 == 2 {
			r.adapter.Seat(c, cluster.Member{ID: "ann", IDJSON: "1", Info: `{"name":"somebody"}`})
		}
	}
}

func (r *restating) Watched(c cluster.Channel, s *cluster.Snapshot) {
	r.note(func() {
		switch known := r.answered[c.Name]; {
		case s != nil && s.Partial && !known:
			r.partial++
		case s != nil && !s.Partial && known && r.partial > 0:
			r.partial--
		}
		r.answered[c.Name] = true
	})
}
func (r *restating) Seated(cluster.Channel, string, uint64) { r.note(func() { r.seats++ }) }
func (r *restating) Decided(cluster.Edge)                   {}

// ownCPU returns the microseconds of CPU that this process has used.
func ownCPU(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1000
}
