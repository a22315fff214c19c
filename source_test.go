package cutover_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests of this file and of floors_test.go read the source of the module
// itself. They need neither the go command nor a network, and they see the files
// of every platform, whatever machine they run on.

const module = "github.com/cutover-deploy/cutover"

// source is one Go file of the module that is not a test.
type source struct {
	Name string // slash-separated, relative to the root of the module
	Dir  string // its package: "." for the root
	AST  *ast.File
	Set  *token.FileSet
}

// imports maps the local name of each import to its path.
func (s source) imports(t *testing.T) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, spec := range s.AST.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		m[name] = p
	}
	return m
}

// sources parses the files of the module that end up in somebody's program.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch base := filepath.Base(name); {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(name)
		all = append(all, source{Name: slash, Dir: path.Dir(slash), AST: f, Set: set})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// uses lists where the file names one of the package's functions or variables.
func (s source) uses(t *testing.T, pkg string, names ...string) []string {
	t.Helper()
	local := ""
	for name, p := range s.imports(t) {
		if p == pkg {
			local = name
		}
	}
	if local == "" {
		return nil
	}
	var found []string
	ast.Inspect(s.AST, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && matches(sel.Sel.Name, names) {
			found = append(found, s.Set.Position(sel.Pos()).String()+": "+pkg+"."+sel.Sel.Name)
		}
		return true
	})
	sort.Strings(found)
	return found
}

// matches compares with names, in which a trailing star stands for any rest.
func matches(name string, names []string) bool {
	for _, n := range names {
		if p, star := strings.CutSuffix(n, "*"); name == n || star && strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
