package bench

import (
	"strconv"
	"time"

	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

// feed triggers a sequence of events over one HTTP connection, one request after the
// other. Owned by one goroutine.
type feed struct {
	publisher *rest.Publisher
	channel   string
	channels  int // event e goes to channel e-1 modulo channels; zero means the one named channel
	lane      int // of lanes
	lanes     int
	payload   int
	timeout   time.Duration
	number    uint32 // of the last event in its lane
}

// newFeed returns the sequence of events of a channel.
func (r *run) newFeed(s *subject, channel string) *feed {
	f := &feed{
		publisher: rest.NewPublisher(s.triggers()), channel: channel, lanes: 1,
		payload: r.settings.PayloadBytes, timeout: r.settings.deliveryTimeout,
	}
	r.closers = append(r.closers, f.publisher.Close)
	return f
}

// trigger publishes the next events, stamped with nanos, in one request.
func (f *feed) trigger(events int, nanos int64) error {
	data := make([][]byte, events)
	channel := f.channel
	for i := range data {
		event := (f.number+uint32(i))*uint32(f.lanes) + uint32(f.lane) + 1
		data[i] = wire.AppendStamped(nil, wire.Stamp{Sequence: event, SentNanos: nanos}, f.payload)
		if f.channels > 0 {
			channel = channelName(f.channel, int(event-1)%f.channels)
		}
	}
	if err := f.publisher.Trigger(channel, data, time.Now().Add(f.timeout)); err != nil {
		return err
	}
	f.number += uint32(events)
	return nil
}

// channelName is what population calls channel number i of those with a prefix.
func channelName(prefix string, i int) string { return prefix + "-" + strconv.Itoa(i) }

// stepNanos bounds how late the end of a run is noticed.
const stepNanos = int64(50 * time.Millisecond)

// pace calls trigger every interval, first after one interval, until the run is over
// or stopped is closed, and gives it the time at which it was meant to be called: a
// call that comes late because the one before it took long is late for its events
// too. It returns how many calls there were.
func (r *run) pace(interval, duration time.Duration, stopped <-chan struct{}, trigger func(nanos int64) error) (calls int, err error) {
	start := process.Nanos()
	for {
		at := start + int64(calls+1)*int64(interval)
		if duration > 0 && at > start+int64(duration) {
			return calls, nil
		}
		for left := at - process.Nanos(); left > 0; left = at - process.Nanos() {
			process.SleepUntil(at - max(left-stepNanos, 0))
			if over(r.ctx.Done()) || over(stopped) {
				return calls, nil
			}
		}
		if over(r.ctx.Done()) || over(stopped) {
			return calls, nil
		}
		if err := trigger(at); err != nil {
			return calls, err
		}
		calls++
	}
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// stream is a feed that goes on beside other things.
type stream struct {
	stopped chan struct{}
	result  chan error
}

// stream triggers one event of f every interval until stop. Nobody else uses f until
// then.
func (r *run) stream(f *feed, interval time.Duration) *stream {
	s := &stream{stopped: make(chan struct{}), result: make(chan error, 1)}
	go func() {
		_, err := r.pace(interval, 0, s.stopped, func(nanos int64) error { return f.trigger(1, nanos) })
		s.result <- err
	}()
	return s
}

// stop ends the stream and returns once nothing of it is under way.
func (s *stream) stop() error {
	close(s.stopped)
	return <-s.result
}
