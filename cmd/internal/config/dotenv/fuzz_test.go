package dotenv_test

import (
	"strings"
	"testing"

	"resound/cmd/internal/config/dotenv"
)

// FuzzEnv: no input panics, every name is valid, and a value that needs no
// escape survives being written in single quotes and read again.
func FuzzEnv(f *testing.F) {
	for _, seed := range []string{
		"A=1\nB=\"${A} $C\"\n", "export A='x' # c\r\n", "\ufeffA=\"a\\\"\nb\"", "A=\"\\", "A='", "=", "A=${", "#", "A=a b",
		"REVERB_APP_ID=1\nREVERB_APP_KEY=k\nVITE_REVERB_APP_KEY=\"${REVERB_APP_KEY}\"\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		values, _ := dotenv.Parse(src, nil)
		for name, value := range values {
			if name == "" || strings.ContainsAny(name, " =\n\"'") {
				t.Fatalf("name %q of %q", name, src)
			}
			if strings.ContainsAny(value, "'\r\n") {
				continue
			}
			again, err := dotenv.Parse([]byte(name+"='"+value+"'"), nil)
			if err != nil || again[name] != value {
				t.Fatalf("value %q of %q reads back as %q, %v", value, name, again[name], err)
			}
		}
	})
}
