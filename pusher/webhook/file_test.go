package webhook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFileStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webhooks.jsonl")
	s := FileStore{Path: path}
	at := time.Date(2026, 11, 23, 1, 2, 3, 4_000_000, time.UTC)
	queued := Kept{AppID: "a", URL: testURL, At: at, Event: json.RawMessage(`{"name":"x","data":"\u2028\n"}`)}
	heldBack := Kept{AppID: "a", At: at, Event: json.RawMessage(`{}`), Type: MemberRemoved, Channel: "presence-x", UserID: "u"}

	if got, err := s.Load(); err != nil || got != nil {
		t.Errorf("Load of nothing = %v, %v", got, err)
	}
	if err := s.Save(nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("nothing to save made a file: %v", err)
	}
	for _, events := range [][]Kept{{queued, heldBack}, {queued}} {
		if err := s.Save(events); err != nil {
			t.Fatal(err)
		}
	}
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := stat.Mode(); got != 0o600 {
		t.Errorf("mode %v, want 0600", got)
	}
	got, err := s.Load()
	if want := []Kept{queued, heldBack, queued}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %v, %v\nwant %v", got, err, want)
	}
	if got, err := s.Load(); err != nil || len(got) != 0 {
		t.Errorf("the second Load = %v, %v, want nothing", got, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestBrokenFileGivesWhatCanBeRead(t *testing.T) {
	const good = `{"app_id":"a","url":"http://x.test","at":"2026-11-23T00:00:00Z","event":{}}`
	tests := []struct {
		name, text string
		events     int
		want       string
	}{
		{"cut off", good + "\n" + good[:40], 1, "1 of 2 lines are no events, the first is line 2"},
		{"garbage first", "\x00\x01\n" + good + "\n", 1, "1 of 2 lines are no events, the first is line 1"},
		{"another type", `{"app_id":"a","type":"x","event":{}}` + "\n", 0, "1 of 1 lines"},
		{"no app", `{"event":{}}` + "\n", 0, "1 of 1 lines"},
		{"no event", `{"app_id":"a"}` + "\n", 0, "1 of 1 lines"},
		{"no line feed at the end", good, 1, ""},
		{"empty", "", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "webhooks.jsonl")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := FileStore{Path: path}.Load()
			if len(got) != tt.events {
				t.Errorf("%d events, want %d", len(got), tt.events)
			}
			aside, readErr := os.ReadFile(path + ".broken")
			if tt.want == "" {
				if err != nil || readErr == nil {
					t.Errorf("got error %v, file kept: %v", err, readErr == nil)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
			if string(aside) != tt.text {
				t.Errorf("%s.broken has %q, want what was there", path, aside)
			}
		})
	}
}

func TestWhatAnInterruptedLoadLeftIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webhooks.jsonl")
	s := FileStore{Path: path}
	event := Kept{AppID: "a", URL: testURL, Event: json.RawMessage(`{}`)}
	if err := s.Save([]Kept{event}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".taken"); err != nil {
		t.Fatal(err)
	}
	if err := s.Save([]Kept{event}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(); err != nil || len(got) != 2 {
		t.Errorf("Load = %d events, %v, want 2", len(got), err)
	}
}

// Nodes may share a file: by configuration, or for the length of a restart.
func TestFileStoreIsSharedByProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webhooks.jsonl")
	const savers, saves = 4, 25
	var saving, loading sync.WaitGroup
	stop := make(chan struct{})
	loaded := 0
	load := func() {
		got, err := FileStore{Path: path}.Load()
		if err != nil {
			t.Error(err)
		}
		loaded += len(got)
	}
	loading.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				load()
			}
		}
	})
	for range savers {
		saving.Go(func() {
			for range saves {
				if err := (FileStore{Path: path}).Save([]Kept{{AppID: "a", URL: testURL, Event: json.RawMessage(`{}`)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	saving.Wait()
	close(stop)
	loading.Wait()
	load()
	if want := savers * saves; loaded != want {
		t.Errorf("%d events came back, want the %d that were saved", loaded, want)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestFileThatCannotBeReadIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webhooks.jsonl")
	s := FileStore{Path: path}
	// A link to itself stands for a disk that fails.
	if err := os.Symlink(path+".taken", path+".taken"); err != nil {
		t.Fatal(err)
	}
	if err := s.Save([]Kept{{AppID: "a", URL: testURL, Event: json.RawMessage(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(); err == nil || len(got) != 0 {
		t.Errorf("Load = %d events, %v, want none and an error", len(got), err)
	}
	for _, name := range []string{path, path + ".taken"} {
		if _, err := os.Lstat(name); err != nil {
			t.Errorf("%s is gone: %v", filepath.Base(name), err)
		}
	}
	if target, err := os.Readlink(path + ".taken"); err != nil {
		t.Errorf("what could not be read was replaced: %q, %v", target, err)
	}
}

func TestFileStoreWithoutDirectory(t *testing.T) {
	s := FileStore{Path: filepath.Join(t.TempDir(), "none", "webhooks.jsonl")}
	if err := s.Save([]Kept{{AppID: "a", Event: json.RawMessage(`{}`)}}); err == nil {
		t.Error("Save into a directory that is not there gave no error")
	}
	if got, err := s.Load(); err != nil || got != nil {
		t.Errorf("Load = %v, %v, want nothing", got, err)
	}
}
