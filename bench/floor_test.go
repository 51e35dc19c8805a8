package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"resound/bench/floor"
	"resound/bench/rest"
)

func TestFloor(t *testing.T) {
	fanout := func(t *testing.T, kind string) (Result, error) {
		s := testSettings(startStub(t, stubFaults{}))
		s.Floor, s.FloorKind, s.Burst, s.Threads, s.Rounds, s.Connections = true, kind, 4, 2, 1, 20
		return Fanout(t.Context(), s)
	}
	// brokenCompiler makes every attempt to compile fail.
	brokenCompiler := func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "broken")
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho no headers >&2\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("CC", path)
	}
	t.Run("the one in C is measured", func(t *testing.T) {
		if _, err := floor.Compile(t.Context(), t.TempDir()); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("this test needs a C compiler (Debian package gcc): %v", err)
		}
		r, err := fanout(t, FloorC)
		if err != nil {
			t.Fatal(err)
		}
		if r.Floor != FloorC || len(r.Rounds) != 4 {
			t.Errorf("got floor %q and %d rounds, want %q and 4", r.Floor, len(r.Rounds), FloorC)
		}
		for _, v := range r.Verdicts {
			if strings.HasPrefix(v, "floor:") || strings.HasPrefix(v, "floor is") || strings.Contains(v, "frames differ") {
				t.Errorf("got verdict %q, want the floor to do all it should", v)
			}
		}
	})
	t.Run("without a compiler the one in Go takes its place and the result says so", func(t *testing.T) {
		t.Setenv("CC", "")
		t.Setenv("PATH", t.TempDir())
		r, err := fanout(t, "")
		if err != nil {
			t.Fatal(err)
		}
		if r.Floor != FloorGo || !strings.Contains(strings.Join(r.Verdicts, "\n"), "for want of a C compiler") {
			t.Errorf("got floor %q, verdicts %q, want %q and the reason", r.Floor, r.Verdicts, FloorGo)
		}
	})
	t.Run("a compiler that fails is told of", func(t *testing.T) {
		brokenCompiler(t)
		r, err := fanout(t, "")
		if err != nil {
			t.Fatal(err)
		}
		if r.Floor != FloorGo || !strings.Contains(strings.Join(r.Verdicts, "\n"), "no headers") {
			t.Errorf("got floor %q, verdicts %q, want %q and what the compiler said", r.Floor, r.Verdicts, FloorGo)
		}
	})
	t.Run("a server on another host is told apart", func(t *testing.T) {
		for address, want := range map[string]bool{"127.0.0.1:1": true, "127.9.9.9:1": true, "192.0.2.1:80": false} {
			if got := onLoopback(rest.Target{Address: address}); got != want {
				t.Errorf("got loopback %v for %s, want %v", got, address, want)
			}
		}
	})
	t.Run("the one in C when asked for it is not replaced", func(t *testing.T) {
		brokenCompiler(t)
		if _, err := fanout(t, FloorC); err == nil || !strings.Contains(err.Error(), "no headers") {
			t.Errorf("got %v, want what the compiler said", err)
		}
	})
}
