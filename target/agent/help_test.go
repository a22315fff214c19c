package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/stretchr/testify/require"
)

// box is a host in a directory, and the deployments to it.
type box struct {
	t     *testing.T
	agent *Agent
	root  string // of the host
	notes []lifecycle.Note
	job   target.Job // copied for every deployment
}

func newBox(t *testing.T) *box {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("SKIPPED steps with scripts: there is no /bin/sh")
	}
	base := t.TempDir()
	require.NoError(t, os.Chmod(base, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(base), 0o755))
	b := &box{t: t, root: filepath.Join(base, "host")}
	require.NoError(t, os.Mkdir(b.root, 0o755))
	b.agent = &Agent{Dir: filepath.Join(base, "state"), Root: b.root}
	b.job = target.Job{Application: "shop", Group: "g1", GroupName: "Fleet"}
	return b
}

// files is a revision: names and contents. Names that end in .sh are executable.
type files map[string]string

// spec writes an AppSpec with the hooks given as event, script, event, script. The
// files of app go to /srv.
func spec(hooks ...string) string {
	s := "version: 0.0\nos: linux\nfiles:\n  - source: app\n    destination: /srv\n"
	if len(hooks) > 0 {
		s += "hooks:\n"
	}
	last := ""
	for i := 0; i+1 < len(hooks); i += 2 {
		if hooks[i] != last {
			s += "  " + hooks[i] + ":\n"
		}
		last = hooks[i]
		s += "    - " + strings.ReplaceAll(hooks[i+1], "\n", "\n      ") + "\n"
	}
	return s
}

// script is one that notes in the host's trace that it ran, and then does more.
func script(name string, more ...string) string {
	return "#!/bin/sh\necho \"$LIFECYCLE_EVENT " + name + "\" >> \"$CUTOVER_ROOT/trace\"\n" + strings.Join(more, "\n") + "\n"
}

func (b *box) bundle(f files) *revision.Bundle {
	b.t.Helper()
	dir := b.t.TempDir()
	for name, content := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		require.NoError(b.t, os.WriteFile(path, []byte(content), mode))
	}
	bundle, err := revision.Dir(dir).Open(b.t.Context(), "")
	require.NoError(b.t, err)
	return bundle
}

// newJob is a job for a revision; change it before use.
func (b *box) newJob(f files) *target.Job {
	b.t.Helper()
	job := b.job
	if f != nil {
		job.Bundle = b.bundle(f)
		job.Revision.Digest = job.Bundle.Manifest.Digest()
	}
	return &job
}

func (b *box) step(deployment string, event lifecycle.Event) lifecycle.Step {
	return lifecycle.Step{Deployment: deployment, Unit: "host-1", Event: event}
}

func (b *box) perform(job *target.Job, s lifecycle.Step) error {
	return b.agent.Perform(b.t.Context(), target.Task{Step: s, Job: job,
		Note: func(n lifecycle.Note) { b.notes = append(b.notes, n) }})
}

// run does the events of a deployment and stops at the first failure.
func (b *box) run(deployment string, job *target.Job, events ...lifecycle.Event) *lifecycle.Error {
	b.t.Helper()
	b.notes = nil
	if len(events) == 0 {
		events = lifecycle.InPlace.Events()
	}
	for _, e := range events {
		if err := b.perform(job, b.step(deployment, e)); err != nil {
			failure, ok := errors.AsType[*lifecycle.Error](err)
			require.True(b.t, ok, "%T: %v", err, err)
			return failure
		}
	}
	return nil
}

// ok runs a whole deployment, which must succeed.
func (b *box) ok(deployment string, job *target.Job) {
	b.t.Helper()
	require.NoError(b.t, asPlain(b.run(deployment, job)))
}

func asPlain(e *lifecycle.Error) error {
	if e == nil {
		return nil
	}
	return e
}

func (b *box) trace() []string {
	data, _ := os.ReadFile(filepath.Join(b.root, "trace"))
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func (b *box) installed(name string) string {
	data, _ := os.ReadFile(filepath.Join(b.root, "srv", name))
	return string(data)
}

func (b *box) noted(code lifecycle.Code) string {
	for _, n := range b.notes {
		if n.Code == code {
			return n.Text
		}
	}
	return ""
}

func (b *box) archive(deployment string) string {
	return filepath.Join(b.agent.Dir, "g1", deployment, archiveDir)
}

func (b *box) reopen(dir string) *revision.Bundle {
	b.t.Helper()
	bundle, err := revision.Dir(dir).Open(b.t.Context(), "")
	require.NoError(b.t, err)
	return bundle
}
