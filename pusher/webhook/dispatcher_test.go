package webhook

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHoldBack(t *testing.T) {
	const channel, other = "presence-x", "presence-y"
	type step struct {
		after time.Duration
		event Event
	}
	tests := []struct {
		name  string
		steps []step
		want  []string // with the time since the start
	}{
		{
			"a channel that stays vacated is told after 3 s",
			[]step{{0, vacated(channel)}},
			[]string{"3s channel_vacated presence-x"},
		},
		{
			"a member who stays away is told after 3 s",
			[]step{{0, removed(channel, "u")}},
			[]string{"3s member_removed presence-x u"},
		},
		{
			"occupied and added are told at once",
			[]step{{0, occupied(channel)}, {0, added(channel, "u")}},
			[]string{"0s channel_occupied presence-x", "0s member_added presence-x u"},
		},
		{
			"a channel that is occupied again in time was never vacated",
			[]step{{0, vacated(channel)}, {2999 * time.Millisecond, occupied(channel)}},
			nil,
		},
		{
			"a channel that is occupied too late was vacated",
			[]step{{0, vacated(channel)}, {3001 * time.Millisecond, occupied(channel)}},
			[]string{"3s channel_vacated presence-x", "3.001s channel_occupied presence-x"},
		},
		{
			"a member who comes back in time never left",
			[]step{{0, removed(channel, "u")}, {time.Second, added(channel, "u")}},
			nil,
		},
		{
			"another member does not cancel",
			[]step{{0, removed(channel, "u")}, {time.Second, added(channel, "v")}},
			[]string{"1s member_added presence-x v", "3s member_removed presence-x u"},
		},
		{
			"the same member elsewhere does not cancel",
			[]step{{0, removed(channel, "u")}, {time.Second, added(other, "u")}},
			[]string{"1s member_added presence-y u", "3s member_removed presence-x u"},
		},
		{
			"another channel does not cancel",
			[]step{{0, vacated(channel)}, {time.Second, occupied(other)}},
			[]string{"1s channel_occupied presence-y", "3s channel_vacated presence-x"},
		},
		{
			"a member with an empty id is not the channel",
			[]step{{0, vacated(channel)}, {time.Second, added(channel, "")}},
			[]string{"1s member_added presence-x", "3s channel_vacated presence-x"},
		},
		{
			"leaving again begins the time again",
			[]step{{0, removed(channel, "u")}, {2 * time.Second, added(channel, "u")}, {time.Second, removed(channel, "u")}},
			[]string{"6s member_removed presence-x u"},
		},
		{
			"a member who leaves for good leaves with the channel, in order",
			[]step{{0, removed(channel, "u")}, {0, vacated(channel)}},
			[]string{"3s member_removed presence-x u", "3s channel_vacated presence-x"},
		},
		{
			"a flapping member is told of once",
			[]step{{0, added(channel, "u")}, {time.Second, removed(channel, "u")}, {time.Second, added(channel, "u")}, {time.Second, removed(channel, "u")}, {time.Second, added(channel, "u")}},
			[]string{"0s member_added presence-x u"},
		},
		{
			"a second vacated does not begin the time again",
			[]step{{0, vacated(channel)}, {2 * time.Second, vacated(channel)}},
			[]string{"3s channel_vacated presence-x"},
		},
		{
			"after an odd cancellation the next one is still told",
			[]step{{0, vacated(channel)}, {time.Second, occupied(channel)}, {5 * time.Second, vacated(other)}},
			[]string{"9s channel_vacated presence-y"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{t: t}
				d := start(t, Options{MaxBatchEvents: 1}, r, testApp("a", Hook{URL: testURL}))
				begin := time.Now()
				for _, s := range tt.steps {
					time.Sleep(s.after) // the bubble's clock
					d.Publish("a", s.event)
				}
				time.Sleep(time.Minute)
				var got []string
				for _, q := range r.all() {
					got = append(got, fmt.Sprint(q.at.Sub(begin), " ", strings.Join(q.words(), ",")))
				}
				wantEvents(t, got, tt.want...)
				if held := d.Stats().HeldEvents; held != 0 {
					t.Errorf("%d events are still held", held)
				}
				if err := d.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestHoldBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{HoldBack: -1}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		d.Publish("a", vacated("x"))
		synctest.Wait()
		wantEvents(t, r.events(), "channel_vacated x")
	})
}

func TestMissedEdgesAreMendedByWhoIsPresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		var asked []string
		present := func(appID, channel, userID string) bool {
			asked = append(asked, appID+" "+channel+" "+userID)
			return channel == "presence-x"
		}
		d := start(t, Options{Present: present}, r, testApp("a", Hook{URL: testURL, EventTypes: []EventType{ChannelVacated, MemberRemoved}}))
		defer d.Close(t.Context())
		// The news of two reactors crossed: the channel is occupied.
		d.Publish("a", occupied("presence-x"))
		d.Publish("a", vacated("presence-x"))
		d.Publish("a", removed("presence-x", "u"))
		d.Publish("a", vacated("y"))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wantEvents(t, r.events(), "channel_vacated y")
		wantEvents(t, asked, "a presence-x ", "a presence-x u", "a y ")
	})
}

func TestWhoWantsOnlyOccupiedHearsOfNoFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{}, r, testApp("a", Hook{URL: testURL, EventTypes: []EventType{ChannelOccupied}}))
		defer d.Close(t.Context())
		d.Publish("a", occupied("x"))
		d.Publish("a", vacated("x"))
		time.Sleep(time.Second)
		d.Publish("a", occupied("x"))
		time.Sleep(time.Minute)
		wantEvents(t, r.events(), "channel_occupied x")
	})
}

func TestTooManyHeldEventsGoEarlyInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{MaxHeldEvents: 2}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		d.Publish("a", removed("presence-x", "1"))
		d.Publish("a", removed("presence-x", "2"))
		d.Publish("a", removed("presence-x", "2")) // held already
		d.Publish("a", vacated("presence-x"))
		synctest.Wait()
		wantEvents(t, r.events(), "member_removed presence-x 1")
		if got := d.Stats(); got.ReleasedEarly != 1 || got.HeldEvents != 2 {
			t.Errorf("released early %d, held %d, want 1 and 2", got.ReleasedEarly, got.HeldEvents)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wantEvents(t, r.events(), "member_removed presence-x 1", "member_removed presence-x 2", "channel_vacated presence-x")
	})
}

func TestManyHeldEventsAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3*releaseBatch + 1
		r := &receiver{t: t}
		d := start(t, Options{}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		for i := range n {
			d.Publish("a", vacated(fmt.Sprint(i)))
		}
		time.Sleep(4 * time.Second)
		got := r.events()
		if len(got) != n || got[0] != "channel_vacated 0" || got[n-1] != fmt.Sprint("channel_vacated ", n-1) {
			t.Errorf("%d events arrived, want %d in order", len(got), n)
		}
	})
}

func TestCacheMissIsToldOnceInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{}, r, testApp("a", Hook{URL: testURL}), testApp("b", Hook{URL: testURL}))
		defer d.Close(t.Context())
		for range 50 {
			d.Publish("a", Event{Type: CacheMiss, Channel: "cache-x"})
		}
		time.Sleep(999 * time.Millisecond)
		d.Publish("a", Event{Type: CacheMiss, Channel: "cache-x"})
		d.Publish("a", Event{Type: CacheMiss, Channel: "cache-y"})
		synctest.Wait()
		d.Publish("b", Event{Type: CacheMiss, Channel: "cache-x"})
		time.Sleep(time.Millisecond)
		d.Publish("a", Event{Type: CacheMiss, Channel: "cache-x"})
		synctest.Wait()
		wantEvents(t, r.events(), "cache_miss cache-x", "cache_miss cache-y", "cache_miss cache-x", "cache_miss cache-x")
		if got := d.Stats().Deduplicated; got != 50 {
			t.Errorf("%d events were told before, want 50", got)
		}
	})
}

// Fails for a node that filters which hooks to call and then sends them all.
func TestHooksGetWhatTheyWantOnlyAndAppsTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{BatchInterval: 50 * time.Millisecond}, r,
			testApp("a",
				Hook{URL: "http://a.test/members", EventTypes: []EventType{MemberAdded}},
				Hook{URL: "http://a.test/private", ChannelPrefix: "private-"},
				Hook{URL: "http://a.test/all"}),
			testApp("b", Hook{URL: "http://b.test/all"}),
			testApp("none"))
		defer d.Close(t.Context())
		d.Publish("a", added("presence-x", "u"))
		d.Publish("a", occupied("private-x"))
		d.Publish("a", occupied("x"))
		d.Publish("b", occupied("b-only"))
		d.Publish("none", occupied("x"))
		d.Publish("unknown", occupied("x"))
		d.Publish("a", Event{Channel: "no type"})
		time.Sleep(time.Second)
		got := make(map[string]string)
		for _, q := range r.all() {
			got[q.header.Get("X-Pusher-Key")+" "+q.url] += strings.Join(q.words(), ", ")
		}
		want := map[string]string{
			"a-key http://a.test/members": "member_added presence-x u",
			"a-key http://a.test/private": "channel_occupied private-x",
			"a-key http://a.test/all":     "member_added presence-x u, channel_occupied private-x, channel_occupied x",
			"b-key http://b.test/all":     "channel_occupied b-only",
		}
		for key, w := range want {
			if got[key] != w {
				t.Errorf("%s got %q, want %q", key, got[key], w)
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %v, want %d receivers", got, len(want))
		}
	})
}

func TestWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, Options{}, &receiver{t: t}, testApp("a", Hook{URL: testURL, EventTypes: []EventType{ChannelVacated}}), testApp("none"))
		defer d.Close(t.Context())
		tests := []struct {
			app  string
			typ  EventType
			want bool
		}{
			{"a", ChannelVacated, true},
			{"a", ChannelOccupied, true}, // it may cancel
			{"a", MemberAdded, false},
			{"a", ClientEvent, false},
			{"none", ChannelVacated, false},
			{"unknown", ChannelVacated, false},
		}
		for _, tt := range tests {
			if got := d.Wants(tt.app, tt.typ); got != tt.want {
				t.Errorf("Wants(%q, %s) = %v, want %v", tt.app, tt.typ, got, tt.want)
			}
		}
	})
}

func TestPublishKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{BatchInterval: time.Second}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		data := []byte(`"data"`)
		d.Publish("a", Event{Type: ClientEvent, Channel: "private-x", Name: "client-a", SocketID: "1.2", Data: data})
		copy(data, `"XXXX"`)
		time.Sleep(2 * time.Second)
		if got := fmt.Sprint(r.all()[0].events[0]["data"]); got != "data" {
			t.Errorf("got data %q, want %q", got, "data")
		}
	})
}

func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const oldURL, newURL = "http://old.test/", "http://new.test/"
		var log logBuffer
		r := &receiver{t: t, answer: func(q request, _ int) (int, error) {
			if q.header.Get("X-Version") == "2" {
				return 200, nil
			}
			return 503, nil
		}}
		d := start(t, Options{Logger: log.logger()}, r, testApp("a", Hook{URL: testURL}, Hook{URL: oldURL}), testApp("gone", Hook{URL: oldURL}))
		defer d.Close(t.Context())
		d.Publish("a", occupied("x"))
		d.Publish("gone", occupied("x"))
		d.Publish("gone", vacated("x"))
		synctest.Wait()

		// A bad configuration changes nothing.
		err := d.Apply([]App{testApp("a", Hook{URL: newURL}), testApp("a"), testApp("b", Hook{URL: "x"})})
		if err == nil || !strings.Contains(err.Error(), `"a" is given twice`) || !strings.Contains(err.Error(), `app "b"`) {
			t.Errorf("got error %v, want one that names both apps", err)
		}
		if got := len(d.Stats().Destinations); got != 3 {
			t.Errorf("%d destinations after a refused configuration, want 3", got)
		}

		version := map[string]string{"X-Version": "2"}
		if err := d.Apply([]App{testApp("a", Hook{URL: testURL, Headers: version}, Hook{URL: newURL, Headers: version})}); err != nil {
			t.Fatal(err)
		}
		before := len(r.all())
		d.Publish("a", occupied("y"))
		d.Publish("gone", occupied("y"))
		time.Sleep(time.Minute)
		got := make(map[string]string)
		for _, q := range r.all()[before:] {
			got[q.url] += strings.Join(q.words(), ", ") + "; "
		}
		if want := "channel_occupied x; channel_occupied y; "; got[testURL] != want {
			t.Errorf("the URL that stayed got %q, want %q", got[testURL], want)
		}
		if want := "channel_occupied y; "; got[newURL] != want {
			t.Errorf("the new URL got %q, want %q", got[newURL], want)
		}
		if got[oldURL] != "" {
			t.Errorf("the removed URL got %q", got[oldURL])
		}
		// Of the removed URL one event of each app, and one held back.
		if got := d.Stats(); got.DroppedUnconfigured != 3 || got.HeldEvents != 0 {
			t.Errorf("dropped %d, held %d, want 3 and 0", got.DroppedUnconfigured, got.HeldEvents)
		}
		if len(log.lines("not_configured=")) == 0 {
			t.Error("no log line tells of the drops")
		}
	})
}

func TestRemovedURLDoesNotWaitForItsReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, answer: func(request, int) (int, error) { return hang, nil }}
		d := start(t, Options{}, r, testApp("a", Hook{URL: testURL}))
		d.Publish("a", occupied("x"))
		synctest.Wait()
		begin := time.Now()
		if err := d.Apply(nil); err != nil {
			t.Fatal(err)
		}
		// An idle one, too.
		if err := errors.Join(d.Apply([]App{testApp("a", Hook{URL: testURL})}), d.Apply(nil)); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

type brokenOutbox struct{ memory }

func (o brokenOutbox) Open(to Destination) (Queue, error) {
	if to.URL == "http://broken.test" {
		return nil, errors.New("no room")
	}
	return o.memory.Open(to)
}

func TestOutboxThatDoesNotOpenRefusesTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{Outbox: brokenOutbox{memory{10, 1000}}}, r, testApp("a", Hook{URL: testURL}))
		err := d.Apply([]App{testApp("a", Hook{URL: "http://x.test"}, Hook{URL: "http://broken.test"})})
		if err == nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("got error %v", err)
		}
		d.Publish("a", occupied("x"))
		synctest.Wait()
		wantEvents(t, r.events(), "channel_occupied x")
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"a negative number", Options{MaxQueuedEvents: -1}, "MaxQueuedEvents is -1"},
		{"a negative time", Options{Timeout: -time.Second}, "Timeout is -1s"},
		{"a first retry above the longest", Options{FirstRetry: 2 * time.Minute}, "FirstRetry 2m0s exceeds MaxRetryDelay 1m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.options, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := New(Options{}, []App{testApp("a", Hook{})}); err == nil {
		t.Error("a bad hook was accepted")
	}
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, Options{}, &receiver{t: t}, testApp("a", Hook{URL: testURL}))
		if err := errors.Join(d.Close(t.Context()), d.Close(t.Context())); err != nil {
			t.Error(err)
		}
		d.Publish("a", occupied("x"))
		if got := d.Stats().DroppedClosed; got != 1 {
			t.Errorf("%d events dropped after Close, want 1", got)
		}
		if err := d.Apply(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Apply = %v, want ErrClosed", err)
		}
		if err := d.Restore(); !errors.Is(err, ErrClosed) {
			t.Errorf("Restore = %v, want ErrClosed", err)
		}
	})
}
