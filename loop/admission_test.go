package loop_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"resound/loop"
)

// arrive sends a handshake and answers whether the connection was put off; it
// then wants to be told so by the close code.
func arrive(t *testing.T, addr, name string, code int) (putOff bool) {
	t.Helper()
	c := connect(t, addr)
	if _, err := io.WriteString(c, strings.Replace(handshake, "GET /", "GET /"+name, 1)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s: got %v, %v, want a 101", name, answer, err)
	}
	send(t, c, masked(0x1, true, "hello"))
	frame, err := readWhole(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	switch got := string(frame.Payload); {
	case got == "hello":
		return false
	case len(got) > 2 && int(got[0])<<8|int(got[1]) == code:
		return true
	default:
		t.Fatalf("%s: got %q, want an echo or close code %d", name, got, code)
		return false
	}
}

func TestLateReactorPutsHandshakesOff(t *testing.T) {
	const code, limit = 4100, 3 * time.Second
	for _, row := range []struct {
		name string
		lag  time.Duration
		max  time.Duration
		want int // connections put off
	}{
		{"not late", limit, limit, 0},
		{"late, but for twenty a second", limit + 1, limit, 5},
		{"late by the default", 5*time.Second + 1, 0, 5},
		{"late without a limit", time.Hour, -1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, c := stopped(loop.Options{MaxLag: row.max, LateCode: code, LateReason: "late"})
			e, s, addr := startScript(t, o, nil)
			open(t, addr, "before")
			mail := &unfinished{}
			s.Post(mail)
			c.elapsed.Add(int64(row.lag))
			got := 0
			for i := range 25 {
				if arrive(t, addr, fmt.Sprint(i), code) {
					got++
				}
			}
			if got != row.want || e.Stats().PutOff != uint64(row.want) {
				t.Errorf("%d were put off, %d counted, want %d", got, e.Stats().PutOff, row.want)
			}
			if got, want := e.Stats().Opened, uint64(26-row.want); got != want {
				t.Errorf("%d were opened, want %d", got, want)
			}
			c.elapsed.Add(int64(time.Second))
			if row.want > 0 && arrive(t, addr, "later", code) {
				t.Error("put off, though it was the first in its second")
			}
			mail.until.Store(true)
			s.do(t, func() {})
			for i := range 25 {
				if arrive(t, addr, fmt.Sprint("after", i), code) {
					t.Fatalf("connection %d was put off, though nothing waits any more", i)
				}
			}
		})
	}
}
