package pusher_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resound/pusher"
	"resound/pusher/transcript"
)

var update = flag.Bool("update", false, "rewrite what arrives in the transcripts")

func TestTranscripts(t *testing.T) { runTranscripts(t, start, *update) }

// TestTranscriptsInACluster spreads the connections of a transcript over nodes
// whose cluster answers at once, or late and in any order.
func TestTranscriptsInACluster(t *testing.T) {
	for nodes := 1; nodes <= 3; nodes++ {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(nodes, " nodes, seed ", seed), func(t *testing.T) {
				runTranscripts(t, func(t *testing.T, o pusher.AppOptions) transcript.Server {
					c := pusher.AppConfig{ID: transcript.AppID, Key: transcript.Key, Secret: transcript.Secret, Options: o}
					return fakeClusterServer{pusher.NewFakeCluster(t, c, nodes, seed)}
				}, false)
			})
		}
	}
}

func runTranscripts(t *testing.T, start transcript.Starter, update bool) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			transcript.Run(t, f, start, update)
		})
	}
}

type fakeClusterServer struct{ *pusher.FakeCluster }

func (s fakeClusterServer) Open(key, origin string) transcript.Client {
	return s.FakeCluster.Open(key, origin)
}

func start(t *testing.T, o pusher.AppOptions) transcript.Server {
	f := pusher.NewFake(t, transcript.AppID, transcript.Key, transcript.Secret, o)
	return &fakeServer{f}
}

type fakeServer struct{ *pusher.Fake }

func (s *fakeServer) Open(key, origin string) transcript.Client { return s.Fake.Open(key, origin) }

func (s *fakeServer) Advance(d time.Duration) { s.Fake.Advance(d) }
