package bench

import (
	"testing"

	"resound/bench/population"
)

func TestBuckets(t *testing.T) {
	h := population.NewLatencies()
	want := uint64(0)
	for micros := int64(1); micros < 50_000_000; micros += 1 + micros/150 {
		if err := h.RecordValue(micros); err != nil {
			t.Fatal(err)
		}
		want++
	}
	buckets := bucketsOf(h)
	if len(buckets) == 0 || len(buckets) > maxBuckets {
		t.Fatalf("got %d buckets, want 1 to %d", len(buckets), maxBuckets)
	}
	got, last := uint64(0), int64(0)
	for _, b := range buckets {
		if b.UpToMicros <= last || b.Count == 0 {
			t.Errorf("got bucket %+v behind %d us, want rising bounds and none empty", b, last)
		}
		got, last = got+b.Count, b.UpToMicros
	}
	if got != want || last < h.Max() {
		t.Errorf("got %d values up to %d us, want %d up to %d", got, last, want, h.Max())
	}
	if got := bucketsOf(population.NewLatencies()); len(got) != 0 {
		t.Errorf("got %v of an empty histogram, want none", got)
	}
}
