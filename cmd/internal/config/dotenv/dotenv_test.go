package dotenv_test

import (
	"maps"
	"strings"
	"testing"

	"resound/cmd/internal/config/dotenv"
)

func TestParse(t *testing.T) {
	outer := func(name string) (string, bool) {
		value, defined := map[string]string{"HOME_DIR": "/srv", "FIRST": "outer"}[name]
		return value, defined
	}
	tests := []struct {
		name string
		src  string
		want map[string]string
	}{
		{"an empty file defines nothing", "", map[string]string{}},
		{"a plain value", "A=1\n", map[string]string{"A": "1"}},
		{"the last line needs no line end", "A=1", map[string]string{"A": "1"}},
		{"an empty value is defined and empty", "A=\nB=2", map[string]string{"A": "", "B": "2"}},
		{"spaces around the equals sign do not count", "A = 1 \n", map[string]string{"A": "1"}},
		{"export is accepted", "export A=1\nexport\tB=2\n", map[string]string{"A": "1", "B": "2"}},
		{"export alone is a name", "export=1", map[string]string{"export": "1"}},
		{"a quoted name is accepted", "'A'=1\n\"B\"=2", map[string]string{"A": "1", "B": "2"}},
		{"comments and blank lines are skipped", "# x=1\n\n  # y\nA=1", map[string]string{"A": "1"}},
		{"a number sign ends an unquoted value", "A=ab#c\nB=#c\nC=d # e", map[string]string{"A": "ab", "B": "", "C": "d"}},
		{"a number sign inside quotes is text", "A=\"a#b\" # c\nB='a#b'# c", map[string]string{"A": "a#b", "B": "a#b"}},
		{"a dollar sign without braces is text", "A=ab$CDef\nB=\"$X\"\nC=$", map[string]string{"A": "ab$CDef", "B": "$X", "C": "$"}},
		{"a reference takes an earlier value", "A=1\nB=${A}2\nC=\"<${A}${B}>\"", map[string]string{"A": "1", "B": "12", "C": "<112>"}},
		{"a reference takes the outer value first", "FIRST=inner\nB=${FIRST}\nC=${HOME_DIR}/x", map[string]string{"FIRST": "inner", "B": "outer", "C": "/srv/x"}},
		{"an unknown reference stays as written", "A=${NOWHERE}\nB=${NOWHERE", map[string]string{"A": "${NOWHERE}", "B": "${NOWHERE"}},
		{"an expanded value is not expanded again", "A='${B}'\nB=x\nC=${A}", map[string]string{"A": "${B}", "B": "x", "C": "${B}"}},
		{"single quotes keep everything", `A='a\n${B} "c"'`, map[string]string{"A": `a\n${B} "c"`}},
		{"double quotes know escapes", `A="a\"b\\c\nd\te\$f\${A}"`, map[string]string{"A": "a\"b\\c\nd\te$f${A}"}},
		{"a backslash without quotes is text", `A=a\nb`, map[string]string{"A": `a\nb`}},
		{"double quotes may span lines", "A=\"one\ntwo\"\nB=2", map[string]string{"A": "one\ntwo", "B": "2"}},
		{"the last definition wins", "A=1\nA=2", map[string]string{"A": "2"}},
		{"a name without equals sign is not defined", "A\nB=2", map[string]string{"B": "2"}},
		{"an equals sign in a value is text", "A=base64:ab==", map[string]string{"A": "base64:ab=="}},
		{"a byte order mark is skipped", "\ufeffA=1", map[string]string{"A": "1"}},
		{"line ends of every system", "A=1\r\nB=\r\nC=3\rD=4\n", map[string]string{"A": "1", "B": "", "C": "3", "D": "4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := dotenv.Parse([]byte(tt.src), outer)
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("Parse(%q) = %q, %v; want %q", tt.src, got, err, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name string
		src  string
		want string
	}{
		{"spaces without quotes", "A=1\nAPP_NAME=hidden app\n", "line 2: APP_NAME: text after a space"},
		{"text after a quoted value", `A="x" hidden`, "line 1: A: text after the closing quote"},
		{"a double quote without end", "A=1\n\nB=\"hidden\n", "line 3: B: missing closing quote"},
		{"a single quote does not span lines", "A='hidden\n'", "line 1: A: missing closing quote"},
		{"an unknown escape", `A="hidden\q"`, "line 1: A: unexpected escape sequence"},
		{"a backslash at the very end", `A="hidden\`, "line 1: A: missing closing quote"},
		{"a name with a space", "hidden name=1", "line 1: not a variable name"},
		{"no name", "=hidden", "line 1: not a variable name"},
		{"an error does not hide a later one", "A=hidden x\nB=\"a\nb\"\nC=hidden y", "line 4: C: text after a space"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dotenv.Parse([]byte(tt.src), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%q) = %v, want an error with %q", tt.src, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hidden") {
				t.Errorf("Parse(%q) = %v, which shows a value", tt.src, err)
			}
		})
	}
}

func TestParseKeepsTheGoodLinesOfABadFile(t *testing.T) {
	got, err := dotenv.Parse([]byte("A=1\nB=a b\nC=3"), nil)
	want := map[string]string{"A": "1", "C": "3"}
	if err == nil || !maps.Equal(got, want) {
		t.Errorf("Parse = %q, %v; want %q and an error", got, err, want)
	}
}
