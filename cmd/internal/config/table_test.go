package config

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/CONFIG.md")

// referenceFile is where the generated documentation is kept.
const referenceFile = "../../../docs/CONFIG.md"

func TestReferenceIsCurrent(t *testing.T) {
	want := Reference()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/CONFIG.md is stale: run go test ./cmd/internal/config -update")
	}
}

func TestTable(t *testing.T) {
	names := map[string]string{}
	checkTable(t, rootKeys, "", serverPrefix, names)
	checkTable(t, serverKeys, serverSection, serverPrefix, names)
	checkTable(t, appKeys, appSection, appPrefix, names)
	for _, name := range unusedEnvNames {
		if names[name] != "" {
			t.Errorf("%s is of no effect and of %s", name, names[name])
		}
	}
}

// checkTable holds the rules of one section's table.
func checkTable[T any](t *testing.T, keys []key[T], section, prefix string, names map[string]string) {
	t.Helper()
	fields := map[any]string{}
	target := new(T)
	for _, k := range keys {
		path := section + k.path
		name := k.envName(prefix)
		if other := names[name]; other != "" {
			t.Errorf("%s and %s share the variable %s", path, other, name)
		}
		names[name] = path

		field := k.field(target)
		if other := fields[field]; other != "" {
			t.Errorf("%s and %s share a field", path, other)
		}
		fields[field] = path

		if k.meaning == "" || !strings.HasSuffix(k.meaning, ".") {
			t.Errorf("%s: the meaning is not a sentence: %q", path, k.meaning)
		}
		if err := k.parse(field, nil); err != nil {
			t.Errorf("%s: null: %v", path, err)
		}
		if k.fallback == "" {
			continue
		}
		if err := k.parse(field, k.fallback); err != nil {
			t.Errorf("%s: default: %v", path, err)
		}
		if zero := reflect.ValueOf(field).Elem().IsZero(); zero && k.fallback != "0" && k.fallback != "false" {
			t.Errorf("%s: default %q gives a zero value", path, k.fallback)
		}
	}
}

func TestEditDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"port", "port", 0},
		{"prot", "port", 1},
		{"pot", "port", 1},
		{"porrt", "port", 1},
		{"pork", "port", 1},
		{"kort", "pork", 2},
		{"a", "abcd", maxSuggestionDistance + 1},
	}
	for _, tt := range tests {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := editDistance(tt.b, tt.a); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
