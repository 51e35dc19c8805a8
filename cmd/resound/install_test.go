package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixed are the variables of install with values that a test can know.
var fixed = []variable{{"REVERB_APP_ID", "1"}, {"REVERB_APP_KEY", "k"}, {"VITE_REVERB_APP_KEY", `"${REVERB_APP_KEY}"`}, {broadcastName, "reverb"}}

const added = "REVERB_APP_ID=1\nREVERB_APP_KEY=k\nVITE_REVERB_APP_KEY=\"${REVERB_APP_KEY}\"\nBROADCAST_CONNECTION=reverb\n"

func TestInstallInto(t *testing.T) {
	for _, row := range []struct {
		name, text string
		force      bool
		want       string
		broadcasts bool
	}{
		{"an empty file", "", false, added, true},
		{"a file", "APP_NAME=Laravel\n", false, "APP_NAME=Laravel\n\n" + added, true},
		{"a file without a last line end", "APP_NAME=Laravel", false, "APP_NAME=Laravel\n\n" + added, true},
		{"line ends of Windows", "A=1\r\n", false, "A=1\r\n\r\n" + strings.ReplaceAll(added, "\n", "\r\n"), true},
		{
			"some are there", "REVERB_APP_KEY=mine\nBROADCAST_CONNECTION=log\n", false,
			"REVERB_APP_KEY=mine\nBROADCAST_CONNECTION=log\n\nREVERB_APP_ID=1\nVITE_REVERB_APP_KEY=\"${REVERB_APP_KEY}\"\n", false,
		},
		{
			"some are there, forced", "  export REVERB_APP_KEY = \"mine\" # old\r\nBROADCAST_CONNECTION=log\r\n", true,
			"  export REVERB_APP_KEY =k\r\nBROADCAST_CONNECTION=reverb\r\n\r\nREVERB_APP_ID=1\r\nVITE_REVERB_APP_KEY=\"${REVERB_APP_KEY}\"\r\n", true,
		},
		{"all are there", added, false, added, true},
		{"a comment is not there", "#REVERB_APP_ID=7\n", false, "#REVERB_APP_ID=7\n\n" + added, true},
		{"a longer name is another one", "MY_REVERB_APP_ID=7\nREVERB_APP_IDS=7\n", false, "MY_REVERB_APP_ID=7\nREVERB_APP_IDS=7\n\n" + added, true},
		{"an empty value is a value", "REVERB_APP_ID=\n" + strings.TrimPrefix(added, "REVERB_APP_ID=1\n"), false, "REVERB_APP_ID=\n" + strings.TrimPrefix(added, "REVERB_APP_ID=1\n"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, done := installInto([]byte(row.text), fixed, row.force)
			if string(got) != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
			if done.broadcasts != row.broadcasts {
				t.Errorf("broadcasts: %v, want %v", done.broadcasts, row.broadcasts)
			}
			if n := len(done.added) + len(done.replaced) + len(done.kept); n != len(fixed) {
				t.Errorf("%d variables are told of, want %d", n, len(fixed))
			}
		})
	}
}

func TestInstallKeepsModeAndLink(t *testing.T) {
	dir := t.TempDir()
	shared, link := filepath.Join(dir, "shared.env"), filepath.Join(dir, ".env")
	if err := os.WriteFile(shared, []byte("A=1\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(shared, link); err != nil {
		t.Fatal(err)
	}
	if _, err := install(link, false); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	info, err = os.Stat(shared)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".env-*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	if _, err := install(filepath.Join(dir, "missing"), false); err == nil || !strings.Contains(err.Error(), ".env.example") {
		t.Errorf("a file that is not there: %v", err)
	}
}
