package receiver

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"resound/bench/process"
)

// roleVariable makes the test binary play the receiver process.
const roleVariable = "BENCH_RECEIVER_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestReceiver(t *testing.T) {
	children := process.NewChildren()
	defer children.Close()
	command := process.Command{Path: os.Args[0], Env: append(os.Environ(), roleVariable+"=yes"), Stderr: os.Stderr}
	t.Run("client events are counted, other events are not", func(t *testing.T) {
		r, err := Start(children, command)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for _, body := range []string{
			`{"time_ms":1,"events":[{"name":"client_event","event":"client-a"},{"name":"client_event","event":"client-b"}]}`,
			`{"time_ms":1,"events":[{"name":"channel_occupied","channel":"c"}]}`,
		} {
			response, err := client.Post(r.URL, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("got status %d, want 200", response.StatusCode)
			}
		}
		if got, err := r.Counts(); err != nil || got != (Counts{Requests: 2, Events: 2}) {
			t.Errorf("got %+v %v, want 2 requests and 2 events", got, err)
		}
	})
	t.Run("a process that does not start is an error", func(t *testing.T) {
		if _, err := Start(children, process.Command{Path: "/bin/true"}); err == nil {
			t.Error("got no error, want one")
		}
	})
}
