package webhook

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRestartKeepsWhatWasNotSent(t *testing.T) {
	store := FileStore{Path: filepath.Join(t.TempDir(), "webhooks.jsonl")}
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, answer: func(q request, _ int) (int, error) {
			if strings.Contains(q.url, "fails") {
				return 500, nil
			}
			return 200, nil
		}}
		hooks := []Hook{{URL: "http://fails.test"}, {URL: "http://lives.test"}}
		d := start(t, Options{Store: store, BatchInterval: time.Hour}, r, testApp("a", hooks...))
		d.Publish("a", occupied("1"))
		d.Publish("a", occupied("2"))
		d.Publish("a", vacated("back"))
		d.Publish("a", vacated("gone"))
		d.Publish("a", removed("presence-x", "u"))
		synctest.Wait()
		begin := time.Now()
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("Close waited %s for a receiver that fails", took)
		}
		if s := d.Stats(); s.SentEvents != 2 || s.Dropped() != 0 {
			t.Errorf("sent %d, dropped %d, want 2 and 0", s.SentEvents, s.Dropped())
		}

		// A day later: old events are as good as new ones, held ones begin again.
		time.Sleep(24 * time.Hour)
		after := &receiver{t: t, answer: func(q request, n int) (int, error) {
			if n == 0 {
				return 500, nil
			}
			return 200, nil
		}}
		d = start(t, Options{Store: store}, after, testApp("a", hooks[0]))
		time.Sleep(2 * time.Second)
		d.Publish("a", occupied("back"))
		time.Sleep(2 * time.Second)
		d.Publish("a", occupied("3"))
		synctest.Wait()
		var got []string
		for _, q := range after.all()[1:] {
			got = append(got, q.words()...)
		}
		wantEvents(t, got, "channel_occupied 1", "channel_occupied 2",
			"channel_vacated gone", "member_removed presence-x u", "channel_occupied 3")
		if q := after.all()[0]; q.timeMS > begin.UnixMilli() {
			t.Errorf("time_ms %d does not show that the event is of before the restart, %d", q.timeMS, begin.UnixMilli())
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if kept, err := store.Load(); err != nil || len(kept) != 0 {
			t.Errorf("%d events are kept after all were sent, %v", len(kept), err)
		}
	})
}

func TestRequestUnderWayAtTheEndIsKept(t *testing.T) {
	store := FileStore{Path: filepath.Join(t.TempDir(), "webhooks.jsonl")}
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, answer: func(request, int) (int, error) { return hang, nil }}
		d := start(t, Options{Store: store}, r, testApp("a", Hook{URL: testURL}))
		d.Publish("a", occupied("x"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begin := time.Now()
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("Close took %s, want 2 s", took)
		}
		if kept, err := store.Load(); err != nil || len(kept) != 1 || kept[0].URL != testURL {
			t.Errorf("kept %v, %v, want the event", kept, err)
		}
	})
}

func TestCloseWithoutStoreSendsWhatIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, answer: func(_ request, n int) (int, error) {
			if n < 3 {
				return 500, nil
			}
			return 200, nil
		}}
		d := start(t, Options{}, r, testApp("a", Hook{URL: testURL}))
		d.Publish("a", vacated("x"))
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wantEvents(t, r.events()[3:], "channel_vacated x")
	})
}

// The new process starts before the old one has saved what it could not send.
func TestHandOver(t *testing.T) {
	store := FileStore{Path: filepath.Join(t.TempDir(), "webhooks.jsonl")}
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		here := map[string]bool{}
		present := func(_, channel, _ string) bool { return here[channel] }
		app := testApp("a", Hook{URL: testURL})
		before := start(t, Options{Store: store}, r, app)
		after := start(t, Options{Store: store, Present: present}, r, app)
		// A client of the old process is on the new one before the old one is done.
		here["moved"] = true
		after.Publish("a", occupied("moved"))
		before.Publish("a", vacated("moved"))
		before.Publish("a", vacated("left"))
		if err := before.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := after.Restore(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		wantEvents(t, r.events(), "channel_occupied moved", "channel_vacated left")
		if err := after.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestKeptEventsOfNobodyAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{kept: []Kept{
			{AppID: "gone", URL: testURL, Event: []byte(`{}`)},
			{AppID: "a", URL: "http://gone.test", Event: []byte(`{}`)},
			{AppID: "gone", Type: ChannelVacated, Channel: "x", Event: []byte(`{}`)},
			{AppID: "a", Type: CacheMiss, Channel: "x", Event: []byte(`{}`)},
		}}
		d := start(t, Options{Store: store}, &receiver{t: t}, testApp("a", Hook{URL: testURL}))
		if got := d.Stats(); got.DroppedUnconfigured != 4 || got.HeldEvents != 0 {
			t.Errorf("dropped %d, held %d, want 4 and 0", got.DroppedUnconfigured, got.HeldEvents)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

type fakeStore struct {
	kept []Kept
	err  error
}

func (s *fakeStore) Save(events []Kept) error {
	s.kept = append(s.kept, events...)
	return s.err
}

func (s *fakeStore) Load() ([]Kept, error) {
	kept := s.kept
	s.kept = nil
	return kept, s.err
}

func TestBrokenStoreStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		full := errors.New("disk full")
		r := &receiver{t: t}
		d := start(t, Options{Store: &fakeStore{err: full}, Logger: log.logger()}, r, testApp("a", Hook{URL: testURL}))
		if len(log.lines("disk full")) != 1 {
			t.Error("no log line tells that nothing could be read")
		}
		d.Publish("a", occupied("x"))
		synctest.Wait()
		wantEvents(t, r.events(), "channel_occupied x")
		d.Publish("a", vacated("x"))
		if err := d.Close(t.Context()); !errors.Is(err, full) {
			t.Errorf("Close = %v, want the store's error", err)
		}
		if got := d.Stats().DroppedClosed; got != 1 {
			t.Errorf("%d events dropped, want 1", got)
		}
		if len(log.lines("shutdown=1")) != 1 {
			t.Error("no log line tells of the loss")
		}
	})
}
