package control

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resound/cmd/internal/monitor/history"
)

func TestHistoryIsExportedAndImported(t *testing.T) {
	n := newFakeNode()
	n.history = history.Open(history.Options{Path: filepath.Join(t.TempDir(), "history.db")})
	t.Cleanup(n.history.Close)
	_, c := serve(t, n)
	minute := time.Now().Truncate(time.Minute).Unix() - 600
	var text strings.Builder
	for i := range int64(600) { // several chunks; only the last points are of today
		fmt.Fprintf(&text, `{"step_seconds":60,"time":%d,"values":{"connections":%d}}`+"\n", minute-60*(599-i), i)
	}
	done, err := c.Import(t.Context(), strings.NewReader(text.String()))
	if err != nil || done.Points != 600 || done.Expired != 0 {
		t.Fatalf("import: %+v, %v", done, err)
	}
	var out bytes.Buffer
	if err := c.Export(t.Context(), &out, history.JSON, time.Unix(0, 0)); err != nil || out.String() != text.String() {
		t.Errorf("%d bytes are exported, want %d: %v", out.Len(), text.Len(), err)
	}
	out.Reset()
	if err := c.Export(t.Context(), &out, history.CSV, time.Unix(minute, 0)); err != nil || out.String() != fmt.Sprintf("step_seconds,time,series,value\n60,%d,connections,599\n", minute) {
		t.Errorf("exported is %q: %v", out.String(), err)
	}

	old := fmt.Sprintf(`{"step_seconds":60,"time":%d,"values":{"x":1}}`+"\n", minute-40*24*3600)
	if done, err := c.Import(t.Context(), strings.NewReader(old)); err != nil || done.Expired != 1 {
		t.Errorf("an old point: %+v, %v", done, err)
	}
	_, err = c.Import(t.Context(), strings.NewReader(old+"{"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "1 points before it are in") {
		t.Errorf("a broken line: %v", err)
	}
	if err := c.Export(t.Context(), &out, "xml", time.Unix(0, 0)); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("an unknown format: %v", err)
	}
}

func TestANodeWithoutHistory(t *testing.T) {
	_, c := serve(t, newFakeNode())
	if err := c.Export(t.Context(), &bytes.Buffer{}, history.JSON, time.Now()); err == nil || !strings.Contains(err.Error(), "keeps no history") {
		t.Errorf("export: %v", err)
	}
	if _, err := c.Import(t.Context(), strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "keeps no history") {
		t.Errorf("import: %v", err)
	}
}

func TestDashboardLink(t *testing.T) {
	_, c := serve(t, newFakeNode())
	if got, err := c.DashboardLink(t.Context()); err != nil || !strings.Contains(got.URL, "token=") {
		t.Errorf("got %+v, %v", got, err)
	}
}
