package channels

import (
	"fmt"
	"testing"
	"time"
)

func TestDirectoryLenCountsOccupiedChannels(t *testing.T) {
	d := NewDirectory(nil)
	for i := range 500 {
		d.Subscribe(fmt.Sprint("news-", i), 0, time.Time{})
	}
	d.Subscribe("news-1", 1, time.Time{})
	d.Unsubscribe("news-2", 0, true)
	d.Publish("cache-nobody", &CachedEvent{}, time.Time{}, func(Interest, uint64, bool) {})
	if got := d.Len(); got != 499 {
		t.Errorf("got %d channels, want 499", got)
	}
}
