package layout

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const scoreCard = "docs/PROTOCOL.md"

// open lists the rules of the score card that may be without code or test. Take
// a rule out as soon as it has both; do not add any without saying so in review.
var open = []string{}

// reverbItems is how many behaviours Reverb's test suite has.
const reverbItems = 237

// Sections whose tables have columns of their own. All others have those of
// rules.
const (
	sectionReverb  = "Reverb's own test suite" // item, behaviour, test
	sectionDeparts = "Where we depart"         // departure, code, reason
)

// cardRow is a row of a table of the score card.
type cardRow struct {
	section string // heading above the table
	line    int
	cells   []string
}

func readCard(t *testing.T) (rows []cardRow) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, scoreCard))
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for i, line := range strings.Split(string(text), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = heading
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| rule |") ||
			strings.HasPrefix(line, "| item |") || strings.HasPrefix(line, "| departure |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		rows = append(rows, cardRow{section, i + 1, cells})
	}
	return rows
}

func (r cardRow) String() string { return fmt.Sprintf("%s:%d", scoreCard, r.line) }

func (r cardRow) isRule() bool { return r.section != sectionReverb && r.section != sectionDeparts }

// code returns the references to code of the row, tests those to tests.
func (r cardRow) code() []string {
	switch {
	case r.section == sectionDeparts && len(r.cells) > 1:
		return references(r.cells[1])
	case r.isRule() && len(r.cells) > 2:
		return references(r.cells[2])
	}
	return nil
}

func (r cardRow) tests() []string {
	if r.section == sectionDeparts {
		return nil
	}
	return references(r.cells[len(r.cells)-1])
}

var quoted = regexp.MustCompile("`([^`]+)`")

func references(cell string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	return names
}

// ruleColumns are the columns of a table of rules.
var ruleColumns = []string{"rule", "source", "code", "test"}

// TestScoreCardHasCodeAndTestForEveryRule also holds the list of what is open.
func TestScoreCardHasCodeAndTestForEveryRule(t *testing.T) {
	var found []string
	for _, r := range readCard(t) {
		isOpen := strings.Contains(strings.Join(r.cells, "|"), "**open**")
		if isOpen {
			found = append(found, r.cells[0])
			if !slices.Contains(open, r.cells[0]) {
				t.Errorf("%s: %q is open: write its code or its test", r, r.cells[0])
			}
		}
		if !r.isRule() {
			continue
		}
		if len(r.cells) != len(ruleColumns) {
			t.Errorf("%s: %d cells, want %s; no cell may hold a bar", r, len(r.cells), strings.Join(ruleColumns, ", "))
			continue
		}
		for i, name := range ruleColumns {
			if r.cells[i] == "" {
				t.Errorf("%s: no %s", r, name)
			}
		}
		if isOpen || strings.HasPrefix(r.cells[2], "does not arise: ") {
			continue
		}
		for i, cell := range r.cells[2:] {
			if !strings.Contains(cell, "`") {
				t.Errorf("%s: the %s names nothing: name it, or write **open** and what is missing", r, ruleColumns[2+i])
			}
		}
	}
	for _, rule := range open {
		if !slices.Contains(found, rule) {
			t.Errorf("%q is listed as open and is not open in %s: take it out of the list", rule, scoreCard)
		}
	}
}

var (
	codeName   = regexp.MustCompile(`^([\w/-]+\.go):(\w+)$`)
	testName   = regexp.MustCompile(`^([\w/]+) ((?:Test|Fuzz)\w+)(?:/(.+))?$`)
	transcript = regexp.MustCompile(`^pusher/testdata/\w+\.txt$`)
)

// TestScoreCardNamesWhatExists follows every reference of the score card.
func TestScoreCardNamesWhatExists(t *testing.T) {
	known := sources{}
	for _, r := range readCard(t) {
		for _, name := range r.code() {
			parts := codeName.FindStringSubmatch(name)
			if parts == nil {
				t.Errorf("%s: %q is not of the form dir/file.go:Name", r, name)
			} else if !known.of(t, filepath.Dir(parts[1])).names[filepath.Base(parts[1])][parts[2]] {
				t.Errorf("%s: %s declares no %s: name where the rule is now", r, parts[1], parts[2])
			}
		}
		for _, name := range r.tests() {
			if transcript.MatchString(name) {
				if _, err := os.Stat(filepath.Join(root, name)); err != nil {
					t.Errorf("%s: %v", r, err)
				}
				continue
			}
			known.expectTest(t, r.String(), name)
		}
	}
}

func TestScoreCardNamesEveryTranscript(t *testing.T) {
	var cited []string
	for _, r := range readCard(t) {
		cited = append(cited, r.tests()...)
	}
	all, err := filepath.Glob(filepath.Join(root, "pusher/testdata/*.txt"))
	if err != nil || len(all) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range all {
		if name := "pusher/testdata/" + filepath.Base(f); !slices.Contains(cited, name) {
			t.Errorf("%s shows no rule of %s: name it beside the rules it shows", name, scoreCard)
		}
	}
}

// TestScoreCardAccountsForReverb: each of Reverb's behaviours stands in one row,
// with a test or with the reason why it does not apply.
func TestScoreCardAccountsForReverb(t *testing.T) {
	seen := make([]int, reverbItems+1)
	for _, r := range readCard(t) {
		if r.section != sectionReverb {
			continue
		}
		if len(r.cells) != 3 {
			t.Errorf("%s: %d cells, want item, behaviour and test", r, len(r.cells))
			continue
		}
		for item := range strings.SplitSeq(r.cells[0], ",") {
			first, last, isRange := strings.Cut(strings.TrimSpace(item), "-")
			if !isRange {
				last = first
			}
			from, err1 := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			if err1 != nil || err2 != nil || from < 1 || to > reverbItems || from > to {
				t.Errorf("%s: %q is no item of 1 to %d", r, item, reverbItems)
				continue
			}
			for i := from; i <= to; i++ {
				seen[i]++
			}
		}
		switch test := r.cells[2]; {
		case strings.HasPrefix(test, "does not apply: "), strings.Contains(test, "**open**"), strings.Contains(test, "`"):
		default:
			t.Errorf("%s: neither a test nor \"does not apply: why\"", r)
		}
	}
	for item, n := range seen {
		if item > 0 && n != 1 {
			t.Errorf("item %d stands in %d rows of %q, want 1", item, n, sectionReverb)
		}
	}
}

// TestScoreCardListsEveryDeparture holds the tags in the code against the list.
func TestScoreCardListsEveryDeparture(t *testing.T) {
	listed := map[string]bool{}
	for _, r := range readCard(t) {
		if r.section != sectionDeparts {
			continue
		}
		if len(r.cells) != 3 {
			t.Errorf("%s: %d cells, want departure, code and reason", r, len(r.cells))
			continue
		}
		for _, name := range r.code() {
			file, _, _ := strings.Cut(name, ":")
			listed[file] = true
		}
	}
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			name := p.ImportPath + "/" + f
			text, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "Departs:") && !listed[name] {
				t.Errorf("%s departs and is not named under %q of %s: add what and why", name, sectionDeparts, scoreCard)
			}
		}
	}
}

// source is what the Go files of a directory declare.
type source struct {
	names    map[string]map[string]bool // by file: functions, methods, types, fields, variables, constants
	tests    map[string]bool
	literals []string // strings of the test files, as go test writes the names of subtests
}

// hasSubtest is as lenient as go test -run: part of a name will do. Tables give
// subtests their names, so a string of the test files is looked for.
func (s *source) hasSubtest(part string) bool {
	part = strings.ReplaceAll(part, " ", "_")
	return slices.ContainsFunc(s.literals, func(text string) bool { return strings.Contains(text, part) })
}

// packageDir finds the directory of a package that the score card names by its
// last element.
func packageDir(name string) string {
	for _, above := range []string{"cmd/internal", "pusher", "pusher/rest"} {
		if dir := above + "/" + name; isDir(filepath.Join(root, dir)) {
			return dir
		}
	}
	return name
}

func isDir(name string) bool {
	found, err := os.Stat(name)
	return err == nil && found.IsDir()
}

// sources holds what was read, by directory.
type sources map[string]*source

func (all sources) of(t *testing.T, dir string) *source {
	t.Helper()
	if s := all[dir]; s != nil {
		return s
	}
	s := &source{names: map[string]map[string]bool{}, tests: map[string]bool{}}
	all[dir] = s
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		t.Errorf("%s names %s: %v", scoreCard, dir, err)
		return s
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") {
			s.read(t, dir, e)
		}
	}
	return s
}

func (s *source) read(t *testing.T, dir string, e fs.DirEntry) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, dir, e.Name()), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	isTest := strings.HasSuffix(e.Name(), "_test.go")
	names := map[string]bool{}
	s.names[e.Name()] = names
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			names[n.Name.Name] = true
			if isTest && n.Recv == nil {
				s.tests[n.Name.Name] = true
			}
		case *ast.TypeSpec:
			names[n.Name.Name] = true
		case *ast.ValueSpec:
			for _, id := range n.Names {
				names[id.Name] = true
			}
		case *ast.Field:
			for _, id := range n.Names {
				names[id.Name] = true
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); isTest && n.Kind == token.STRING && err == nil {
				s.literals = append(s.literals, strings.ReplaceAll(text, " ", "_"))
			}
		}
		return true
	})
}
