package lazyregexp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An expression that does not compile must not wait for the input that needs it.
func TestAllExpressionsCompile(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if text, ok := expression(n); ok {
				_, err := regexp.Compile(text)
				require.NoError(t, err, path)
				seen++
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, seen, 60)
}

// expression is the text of a call of New with a literal.
func expression(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return "", false
	}
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fun.Sel.Name != "New" {
		return "", false
	}
	pkg, ok := fun.X.(*ast.Ident)
	lit, isLit := call.Args[0].(*ast.BasicLit)
	if !ok || pkg.Name != "lazyregexp" || !isLit {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}
