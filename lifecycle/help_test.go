package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// script writes an executable file and returns its path.
func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.sh")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

// result is what came of running hooks.
type result struct {
	err   error
	log   string // with the times taken out
	notes []lifecycle.Note
	took  time.Duration
	env   lifecycle.Env
}

// failure returns the error, which must be of the code.
func (r result) failure(t testing.TB, code lifecycle.Code) *lifecycle.Error {
	t.Helper()
	e, ok := errors.AsType[*lifecycle.Error](r.err)
	require.True(t, ok, "want a *lifecycle.Error, have %v", r.err)
	require.Equal(t, code, e.Code, "%v", e)
	return e
}

// noted returns the text of the notes.
func (r result) noted() string {
	var b strings.Builder
	for _, n := range r.notes {
		b.WriteString(string(n.Code) + " " + n.Text + "\n")
	}
	return b.String()
}

// env is a step of the test's own, so that tests beside it are left alone.
func env(t testing.TB, vars ...string) lifecycle.Env {
	return lifecycle.Env{
		Step:  lifecycle.Step{Deployment: "d-1", Unit: "host-1", Event: lifecycle.BeforeInstall},
		Vars:  append([]string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, vars...),
		Scope: t.TempDir(),
	}
}

func runHooks(ctx context.Context, t testing.TB, e lifecycle.Env, hooks ...lifecycle.Hook) result {
	t.Helper()
	var log bytes.Buffer
	r := result{env: e}
	runner := lifecycle.Runner{Log: &log, Note: func(n lifecycle.Note) { r.notes = append(r.notes, n) }}
	start := time.Now()
	r.err = runner.Run(ctx, e, hooks)
	r.took = time.Since(start)
	r.log = untimed(log.String())
	return r
}

// run runs one script of the text.
func run(t testing.TB, text string, change ...func(*lifecycle.Script)) result {
	t.Helper()
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, text), Timeout: 20 * time.Second}
	for _, f := range change {
		f(s)
	}
	return runHooks(t.Context(), t, env(t), s)
}

// stamp is the time before an entry.
var stamp = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)

// untimed takes the times out of a log.
func untimed(log string) string { return stamp.ReplaceAllString(log, "") }

// pidIn reads a process id that a script wrote, and ends the process with the
// test.
func pidIn(t testing.TB, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	t.Cleanup(func() {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	})
	return pid
}

// lives says whether a process runs; one that has ended and was not collected
// does not.
func lives(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil || p.Signal(syscall.Signal(0)) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !os.IsNotExist(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
