package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// The target keeps the contract.
func TestTarget(t *testing.T) {
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		dir := t.TempDir()
		web := sites{{ID: filepath.Join(dir, "blog")}, {ID: filepath.Join(dir, "shop")}}
		for _, site := range web {
			require.NoError(t, os.Mkdir(site.ID, 0o755))
		}
		return &targettest.Harness{
			Target: web,
			Events: []lifecycle.Event{lifecycle.Install},
			Job:    &target.Job{Revision: revision.Revision{Digest: "sha256:1"}},
			Fail: func(s lifecycle.Step) { // a directory where the file has to be
				require.NoError(t, os.Mkdir(filepath.Join(s.Unit, "release"), 0o755))
			},
			Effects: func(s lifecycle.Step) int {
				return strings.Count(release(s.Unit), "sha256:1")
			},
			Reopen: func() (target.Target, error) { return web, nil },
		}
	})
}

func release(site string) string {
	content, err := os.ReadFile(filepath.Join(site, "release"))
	if err != nil {
		return ""
	}
	return string(content)
}

// The program deploys to it.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	blog, shop := filepath.Join(dir, "blog"), filepath.Join(dir, "shop")
	require.NoError(t, os.Mkdir(blog, 0o755))
	require.NoError(t, os.Mkdir(shop, 0o755))
	t.Chdir(filepath.Join("..", "..")) // where it is run
	require.Equal(t, "Succeeded\n", output(t, blog, shop))
	require.True(t, strings.HasPrefix(release(blog), "sha256:"), release(blog))
	require.Equal(t, release(blog), release(shop))

	require.Equal(t, "Failed\n", output(t, filepath.Join(dir, "gone")), "a site that is not there")
}

// output is what the program prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	stdout, was := os.Stdout, os.Args
	os.Stdout, os.Args = w, append([]string{"customtarget"}, args...)
	defer func() { os.Stdout, os.Args = stdout, was }()
	main()
	require.NoError(t, w.Close())
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(out)
}

// The comment of the package says so.
func TestProgramHasLessThan40Lines(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	require.Less(t, strings.Count(string(source), "\n"), 40)
}
