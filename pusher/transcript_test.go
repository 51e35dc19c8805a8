package pusher_test

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resound/pusher"
	"resound/pusher/transcript"
)

var update = flag.Bool("update", false, "rewrite what arrives in the transcripts")

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			transcript.Run(t, f, start, *update)
		})
	}
}

func start(t *testing.T, o pusher.AppOptions) transcript.Server {
	f := pusher.NewFake(t, transcript.AppID, transcript.Key, transcript.Secret, o)
	return &fakeServer{f}
}

type fakeServer struct{ *pusher.Fake }

func (s *fakeServer) Open(key, origin string) transcript.Client { return s.Fake.Open(key, origin) }

func (s *fakeServer) Advance(d time.Duration) { s.Fake.Advance(d) }
