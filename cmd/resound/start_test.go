package main

import (
	"strings"
	"testing"
)

func TestTracePrintsOneLine(t *testing.T) {
	for _, row := range []struct{ name, payload, want string }{
		{"as it is", `{"event":"é"}`, ` {"event":"é"}`},
		{"forged line and escape", "a\n\x1b[2Jb", ` "a\n\x1b[2Jb"`},
		{"a signature", `{"auth":"key:` + strings.Repeat("0a", 32) + `"}`, ` {"auth":"key:***"}`},
		{"a signature at the cut", strings.Repeat("x", 190) + strings.Repeat("0a", 32), " " + strings.Repeat("x", 190) + "***"},
		{"a signature at a later cut", strings.Repeat("é", 190) + strings.Repeat("0a", 32) + strings.Repeat("y", 900), " " + strings.Repeat("é", 190) + "***yyyyyyy…"},
		{"cut at characters", strings.Repeat("é", 300), " " + strings.Repeat("é", 200) + "…"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out strings.Builder
			tracer(&out)("Message Received", "1.2", row.payload)
			if got := out.String(); !strings.HasSuffix(got, row.want+"\n") || strings.Count(got, "\n") != 1 {
				t.Errorf("got %q, want it to end in %q", got, row.want)
			}
		})
	}
}
