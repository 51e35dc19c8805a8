package layout

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

// mayImport lists, for each package, the packages of this module it may import.
// Imports point down only: add a line here only after asking whether the thing
// you need should not be an interface beside its consumer.
var mayImport = map[string][]string{
	"frame":            {},
	"auth":             {},
	"channels/slab":    {},
	"channels":         {"channels/slab"},
	"channels/cluster": {},

	"channels/cluster/local":       {"channels/cluster"},
	"channels/cluster/redis":       {"channels/cluster"},
	"channels/cluster/pair":        {"channels/cluster", "channels/cluster/local"},
	"channels/cluster/clustertest": {"channels/cluster"},

	"pusher":             {"auth", "channels", "channels/cluster", "frame"},
	"pusher/transcript":  {"pusher"},
	"pusher/simulation":  {},
	"pusher/rest":        {"auth", "channels", "pusher", "pusher/rest/shield"},
	"pusher/rest/shield": {"channels"},
	"pusher/webhook":     {"auth"},
	"loop":               {"channels/slab", "frame", "loop/edge"},
	"loop/edge":          {},
	"loop/echo":          {"frame", "loop"},

	"cmd/internal/config":          {"cmd/internal/config/dotenv"},
	"cmd/internal/config/dotenv":   {},
	"cmd/internal/doctor":          {},
	"cmd/internal/memory":          {},
	"cmd/internal/monitor":         {},
	"cmd/internal/monitor/history": {},
	"cmd/internal/monitor/alert":   {},
	"cmd/internal/dashboard":       {"cmd/internal/control", "cmd/internal/monitor", "cmd/internal/monitor/alert", "cmd/internal/monitor/history"},
	"cmd/internal/control":         {"cmd/internal/config", "cmd/internal/monitor", "cmd/internal/monitor/history", "cmd/internal/socketfile"},
	"cmd/internal/socketfile":      {},
	"cmd/internal/node": {
		"auth", "channels", "channels/cluster", "channels/cluster/local", "channels/cluster/pair", "channels/cluster/redis", "cmd/internal/config", "cmd/internal/control", "cmd/internal/dashboard",
		"cmd/internal/monitor", "cmd/internal/monitor/alert", "cmd/internal/monitor/history", "cmd/internal/socketfile",
		"frame", "loop", "loop/edge", "pusher", "pusher/rest", "pusher/webhook",
	},
	"cmd/internal/e2e":    {},
	"cmd/internal/layout": {},
	"cmd/resound":         {"auth", "cmd/internal/config", "cmd/internal/control", "cmd/internal/doctor", "cmd/internal/memory", "cmd/internal/monitor", "cmd/internal/monitor/history", "cmd/internal/node"},
}

// onlyUser lists the packages that alone may import a dependency.
var onlyUser = map[string][]string{
	"github.com/panjf2000/gnet/v2": {"loop"},
	"github.com/gobwas/ws":         {"frame"},
	"github.com/valyala/fasthttp":  {"pusher/rest", "bench"},
	"github.com/redis/rueidis":     {"channels/cluster"},
	"github.com/prometheus":        {"cmd/internal/monitor"},
	"go.etcd.io/bbolt":             {"cmd/internal/monitor/history"},
	"github.com/wneessen/go-mail":  {"cmd/internal/monitor/alert"},
}

// pure packages read no clock and do no I/O.
var pure = []string{"frame", "auth", "channels", "channels/cluster", "channels/slab", "loop/edge"}

type pkg struct {
	ImportPath string
	Doc        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,GoFiles,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, "resound/")
		all = append(all, p)
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == "bench" || strings.HasPrefix(p.ImportPath, "bench/") || p.ImportPath == "cmd/resound-bench" {
			for _, i := range p.Imports {
				if rest, ours := strings.CutPrefix(i, "resound/"); ours && !strings.HasPrefix(rest, "bench") {
					t.Errorf("%s imports %s: the bench speaks the wire only and imports nothing of the server", p.ImportPath, i)
				}
			}
			continue
		}
		allowed, known := mayImport[p.ImportPath]
		if !known {
			t.Errorf("package %s is not in mayImport: say there what it may import", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if rest, ours := strings.CutPrefix(i, "resound/"); ours && !slices.Contains(allowed, rest) {
				t.Errorf("%s imports %s: imports point down only, define an interface beside the consumer", p.ImportPath, i)
			}
		}
	}
}

func TestDependenciesHaveOneUser(t *testing.T) {
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			for dep, users := range onlyUser {
				if i != dep && !strings.HasPrefix(i, dep+"/") {
					continue
				}
				if !slices.ContainsFunc(users, func(u string) bool { return p.ImportPath == u || strings.HasPrefix(p.ImportPath, u+"/") }) {
					t.Errorf("%s imports %s: only %v may", p.ImportPath, i, users)
				}
			}
		}
	}
}

func TestPurePackagesDoNoIO(t *testing.T) {
	banned := []string{"net", "net/http", "os", "syscall", "golang.org/x/sys/unix"}
	for _, p := range packages(t) {
		if !slices.Contains(pure, p.ImportPath) {
			continue
		}
		for _, i := range p.Imports {
			if slices.Contains(banned, i) {
				t.Errorf("%s imports %s: it does no I/O", p.ImportPath, i)
			}
		}
		for _, f := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(root, p.ImportPath, f))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(src), "time.Now(") {
				t.Errorf("%s/%s reads the clock: pass the time in", p.ImportPath, f)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && len(p.Doc) < 40 {
			t.Errorf("package %s has no package comment: say what it is, who owns its state, what it never does", p.ImportPath)
		}
	}
}

// TestExportedNamesAreDocumented also holds methods, not fields.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			name := filepath.Join(root, p.ImportPath, f)
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if ok && fn.Name.IsExported() && fn.Doc == nil && exportedReceiver(fn) {
					t.Errorf("%s/%s: %s has no comment", p.ImportPath, f, fn.Name.Name)
				}
			}
		}
	}
}

func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported() && fn.Name.Name != "Error" && fn.Name.Name != "String"
}

func TestTopLevelIsFixed(t *testing.T) {
	allowed := []string{
		"auth", "bench", "channels", "cmd", "docs", "frame", "loop", "pusher", "scripts",
		"go.mod", "go.sum", "Makefile", "README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md",
		"bin", "dist", // built, not committed
	}
	entries, err := fs.ReadDir(os.DirFS(root), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s at the top level: the folder list is fixed, see docs/ARCHITECTURE.md", e.Name())
		}
	}
}
