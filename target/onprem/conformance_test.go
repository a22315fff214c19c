package onprem_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// hook does what the files in the directory CONTROL tell it: it counts its runs,
// takes a minute, or fails.
const hook = `#!/bin/sh
key="$DEPLOYMENT_ID-$(basename "$CUTOVER_ROOT")-$LIFECYCLE_EVENT"
echo run >> "$CONTROL/runs-$key"
if [ -e "$CONTROL/slow-$key" ]; then sleep 60; fi
while [ -e "$CONTROL/hold-$LIFECYCLE_EVENT" ]; do sleep 0.05; done
if [ -e "$CONTROL/fail-$key" ]; then echo "told to fail"; exit 3; fi
exit 0
`

var hooked = []lifecycle.Event{lifecycle.BeforeInstall, lifecycle.AfterInstall, lifecycle.ApplicationStart, lifecycle.ValidateService}

// bundle writes a revision whose every event runs hook, and one file.
func bundle(t *testing.T, content string) (revision.Revision, *revision.Bundle) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED hosts with hook scripts: these are for a Unix shell")
	}
	dir := t.TempDir()
	spec := "version: 0.0\nos: linux\nfiles:\n  - source: page.txt\n    destination: /srv/app\nhooks:\n"
	for _, e := range hooked {
		spec += "  " + string(e) + ":\n    - location: hook.sh\n      timeout: 90\n"
	}
	for name, text := range map[string]string{"appspec.yml": spec, "hook.sh": hook, "page.txt": content} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	src := revision.Dir(dir)
	b, err := src.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	return revision.Revision{Location: src.Location(), Digest: b.Manifest.Digest()}, b
}

func job(t *testing.T, control, content string) *target.Job {
	t.Helper()
	rev, b := bundle(t, content)
	return &target.Job{Application: "app", Group: "g", Revision: rev, Bundle: b, Env: []string{"CONTROL=" + control}}
}

// prepared fetches the revision before the first step of the suite: the suite
// starts with an event that it can slow down and fail, so one with a script.
type prepared struct {
	target.Target
	mu   sync.Mutex
	done map[string]error
}

func (p *prepared) Perform(ctx context.Context, t target.Task) error {
	if err := p.prepare(ctx, t); err != nil {
		return err
	}
	return p.Target.Perform(ctx, t)
}

func (p *prepared) prepare(ctx context.Context, t target.Task) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err, ok := p.done[t.Step.Unit]; ok || ctx.Err() != nil {
		return err
	}
	for _, e := range []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle} {
		first := t
		first.Step.Event, first.Note = e, nil
		if err := p.Target.Perform(ctx, first); err != nil {
			return err
		}
	}
	p.done[t.Step.Unit] = nil
	return nil
}

func TestLocalKeepsTheContractOfTargets(t *testing.T) {
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		root, control := t.TempDir(), t.TempDir()
		open := func() (target.Target, error) {
			hosts, err := onprem.Locals(root, 3)
			return &prepared{Target: &target.Fleet{Hosts: hosts}, done: map[string]error{}}, err
		}
		first, err := open()
		require.NoError(t, err)
		file := func(what string, s lifecycle.Step) string {
			return filepath.Join(control, what+"-"+s.Deployment+"-"+s.Unit+"-"+string(s.Event))
		}
		tell := func(what string) func(lifecycle.Step) {
			return func(s lifecycle.Step) { require.NoError(t, os.WriteFile(file(what, s), nil, 0o644)) }
		}
		return &targettest.Harness{
			Target: first, Events: hooked, Job: job(t, control, "one"), Reopen: open,
			Slow: tell("slow"), Fail: tell("fail"),
			Effects: func(s lifecycle.Step) int {
				text, _ := os.ReadFile(file("runs", s)) // no file: it never ran
				return strings.Count(string(text), "run")
			},
		}
	})
}

func TestSSHKeepsTheContractOfTargets(t *testing.T) {
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		s := sshtest.New(t)
		a, control := access(t, s), t.TempDir()
		root, hosts := over(t, s, a, 3)
		all := hosts
		open := func() (target.Target, error) {
			var again []target.Host
			for _, h := range hosts {
				h := h.(*onprem.SSH)
				again = append(again, &onprem.SSH{ID: h.ID, Address: h.Address, Access: a, State: h.State, Root: h.Root})
			}
			all = append(all, again...)
			return &prepared{Target: &target.Fleet{Hosts: again}, done: map[string]error{}}, nil
		}
		file := func(what string, s lifecycle.Step) string {
			return filepath.Join(control, what+"-"+s.Deployment+"-"+s.Unit+"-"+string(s.Event))
		}
		tell := func(what string) func(lifecycle.Step) {
			return func(s lifecycle.Step) { require.NoError(t, os.WriteFile(file(what, s), nil, 0o644)) }
		}
		return &targettest.Harness{
			Target: &prepared{Target: &target.Fleet{Hosts: hosts}, done: map[string]error{}}, Events: hooked,
			Job: job(t, control, "one"), Reopen: open, Slow: tell("slow"), Fail: tell("fail"),
			Effects: func(s lifecycle.Step) int {
				text, _ := os.ReadFile(file("runs", s)) // no file: it never ran
				return strings.Count(string(text), "run")
			},
			Close: func() {
				for _, h := range all {
					_ = h.(*onprem.SSH).Close()
				}
				s.Close()
				endAgents(t, root)
			},
		}
	})
}
