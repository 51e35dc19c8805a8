package bench

import "github.com/HdrHistogram/hdrhistogram-go"

// maxBuckets bounds what a round keeps of its histogram.
const maxBuckets = 200

// bucketsOf returns h with its empty buckets left out and, while there are too
// many, neighbours joined in pairs. The counts add up to those of h.
func bucketsOf(h *hdrhistogram.Histogram) []Bucket {
	var buckets []Bucket
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			buckets = append(buckets, Bucket{UpToMicros: bar.To, Count: uint64(bar.Count)})
		}
	}
	for len(buckets) > maxBuckets {
		half := buckets[:0]
		for i := 0; i < len(buckets); i += 2 {
			joined := buckets[i]
			if i+1 < len(buckets) {
				joined = Bucket{UpToMicros: buckets[i+1].UpToMicros, Count: joined.Count + buckets[i+1].Count}
			}
			half = append(half, joined)
		}
		buckets = half
	}
	return buckets
}
