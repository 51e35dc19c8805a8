package layout

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promiseHeader begins the tables in which every row names the tests that show it.
const promiseHeader = "| promise | how | test |"

// promised are the documents with such tables, and how many rows they must have at
// least: a table that is not found any more must not pass.
var promised = map[string]int{"SECURITY.md": 35, "docs/PROOF.md": 10}

// TestPromisesNameTheTestsThatShowThem follows every row of every such table.
func TestPromisesNameTheTestsThatShowThem(t *testing.T) {
	known := sources{}
	for name, least := range promised {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		rows, within := 0, false
		for i, line := range strings.Split(string(text), "\n") {
			where := fmt.Sprintf("%s:%d", name, i+1)
			switch {
			case line == promiseHeader:
				within = true
				continue
			case !strings.HasPrefix(line, "|"):
				within = false
			}
			if !within || strings.HasPrefix(line, "|--") {
				continue
			}
			rows++
			cells := strings.Split(strings.Trim(line, "|"), "|")
			if len(cells) != 3 {
				t.Errorf("%s: %d cells, want promise, how and test; no cell may hold a bar", where, len(cells))
				continue
			}
			tests := references(cells[2])
			if len(tests) == 0 {
				t.Errorf("%s: no test shows %q", where, strings.TrimSpace(cells[0]))
			}
			for _, test := range tests {
				known.expectTest(t, where, test)
			}
		}
		if rows < least {
			t.Errorf("%s has %d promises, want at least %d: is the header of its tables still %q?", name, rows, least, promiseHeader)
		}
	}
}

// expectTest checks that a test exists that a document names.
func (all sources) expectTest(t *testing.T, where, name string) {
	t.Helper()
	parts := testName.FindStringSubmatch(name)
	if parts == nil {
		t.Errorf("%s: %q is not of the form package TestName", where, name)
		return
	}
	s := all.of(t, packageDir(parts[1]))
	if !s.tests[parts[2]] {
		t.Errorf("%s: package %s has no %s: name the test that shows the promise now", where, parts[1], parts[2])
	} else if !s.hasSubtest(parts[3]) {
		t.Errorf("%s: package %s has no row %q for %s", where, parts[1], parts[3], parts[2])
	}
}

var (
	secretName = regexp.MustCompile(`(?i)(secret|password|passphrase|token|signature|cookie)$`)

	// comparesOpenly lists functions that compare what is called like a secret, and why
	// they may.
	comparesOpenly = []string{
		"cmd/internal/dashboard/access.go:token",   // the operator's password with itself, to end sessions when it changes
		"cmd/internal/dashboard/access.go:session", // the token of a session that is let in, with that of open pages
		"auth/query.go:AppendCanonical",            // the name of a parameter
	}
)

// TestSecretsAreComparedInConstantTime finds == and != between two values one of
// which is called like a secret. Comparisons with constants are none of a secret.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	var found []string
	for _, p := range packages(t) {
		if strings.HasPrefix(p.ImportPath, "bench") {
			continue
		}
		for _, f := range p.GoFiles {
			name := filepath.Join(p.ImportPath, f)
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(fn, func(n ast.Node) bool {
					b, ok := n.(*ast.BinaryExpr)
					if !ok || b.Op != token.EQL && b.Op != token.NEQ || !isSecret(b.X) && !isSecret(b.Y) || isConstant(b.X) || isConstant(b.Y) {
						return true
					}
					found = append(found, name+":"+fn.Name.Name)
					return true
				})
			}
		}
	}
	for _, where := range found {
		if !slices.Contains(comparesOpenly, where) {
			t.Errorf("%s compares a secret with == or !=: use crypto/subtle, or give it another name if it is none", where)
		}
	}
	for _, where := range comparesOpenly {
		if !slices.Contains(found, where) {
			t.Errorf("%s compares nothing any more: take it out of the list", where)
		}
	}
}

func isSecret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return secretName.MatchString(e.Name)
	case *ast.SelectorExpr:
		return secretName.MatchString(e.Sel.Name)
	case *ast.CallExpr:
		return isSecret(e.Fun) && len(e.Args) == 1 // a conversion or a getter
	case *ast.IndexExpr:
		return isSecret(e.X)
	}
	return false
}

// isConstant reports whether e is a literal, nil, or a constant of a package by
// how it is written.
func isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return e.Name == "nil" || e.Name == "true" || e.Name == "false"
	}
	return false
}
