package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// scripts does a script event: it runs the scripts that the event's revision has
// for it, in listed order. No scripts is success.
func (w *work) scripts(ctx context.Context) error {
	dir, r, err := w.supplier()
	if err != nil || r == nil {
		return err
	}
	list := r.Spec.Scripts(w.step.Event)
	if len(list) == 0 {
		return nil
	}
	if err := w.resumable(ctx, list); err != nil {
		return err
	}
	hooks, err := w.hooks(filepath.Join(dir, archiveDir), r, list)
	if err != nil {
		return err
	}
	log := &lazyLog{path: w.logPath()}
	defer log.close()
	if size := w.logSize(); w.out.Printed == nil || w.out.Printed.From > size { // it begins, or the log was lost
		w.out.Printed = &span{From: size}
	}
	env := w.a.env(w.step, w.out.Done)
	env.Vars = w.environ()
	runner := lifecycle.Runner{Log: watched{log, w.show}, Note: func(n lifecycle.Note) { w.warn(n.Code, "%s", n.Text) }}
	return runner.Run(ctx, env, hooks[w.out.Done:])
}

// resumable decides what becomes of an event that was cut off in the middle of a
// script: what that script left running is ended, and then the event fails,
// unless the deployment wants such a script to run again. Scripts that had
// finished do not run again in any case.
func (w *work) resumable(ctx context.Context, list []appspec.Script) error {
	o := w.out
	if o.Done > len(list) {
		return w.fail(lifecycle.Interrupted, "the record of the step says that %d scripts have finished, but the AppSpec lists %d", o.Done, len(list))
	}
	if o.Running == "" {
		return nil
	}
	if err := w.endLeftovers(ctx, w.step); err != nil {
		return err
	}
	if w.job.RerunInterrupted {
		return nil
	}
	e := w.fail(lifecycle.Interrupted, "the agent ended in the middle of the script, and what it had started was ended; check what it did, then deploy again, or set RerunInterrupted if the script may be run twice")
	e.Script = o.Running
	return e
}

// hooks makes the scripts ready to run.
func (w *work) hooks(archive string, r *release, list []appspec.Script) ([]lifecycle.Hook, error) {
	var hooks []lifecycle.Hook
	for i, s := range list {
		who, err := account(s)
		if err != nil {
			return nil, scriptError(w.step, s, err)
		}
		hooks = append(hooks, &hook{
			w: w, index: i, archive: archive, release: r,
			script: lifecycle.Script{
				Location: s.Location, Path: scriptPath(archive, s.Location), Dir: archive,
				Timeout: s.Timeout, Grace: w.a.Grace, Account: who,
			},
		})
	}
	return hooks, nil
}

// scriptError is an error about one script.
func scriptError(step lifecycle.Step, s appspec.Script, err error) error {
	err = asError(step, err)
	var e *lifecycle.Error
	if errors.As(err, &e) {
		e.Script = s.Location
	}
	return err
}

// scriptPath is where a location lies. An absolute one is inside the revision, as
// is one that tries to climb out.
func scriptPath(archive, location string) string {
	return filepath.Join(archive, filepath.FromSlash(inside(location)))
}

func inside(location string) string {
	return strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(location)), "/")
}

// hook is one script of an event.
type hook struct {
	w       *work
	index   int // in the AppSpec's list
	archive string
	release *release
	script  lifecycle.Script
}

// Run records that the script starts, runs it, and records that it has finished.
func (h *hook) Run(ctx context.Context, env lifecycle.Env, out io.Writer) error {
	if err := h.vet(); err != nil {
		return err
	}
	w := h.w
	w.out.Running = h.script.Location
	if err := w.save(); err != nil {
		return err
	}
	env.Scope = w.a.env(w.step, h.index).Scope
	if err := h.script.Run(ctx, env, out); err != nil {
		return err
	}
	w.out.Running, w.out.Done = "", h.index+1
	return w.save()
}

// save records how far the event has come.
func (w *work) save() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.a.remember(w.step, w.out)
}

// vet looks at the file as it is now. Earlier scripts may have changed or removed
// it, or led it out of the revision.
func (h *hook) vet() error {
	root, err := os.OpenRoot(h.archive)
	if err != nil {
		return h.fail(lifecycle.ScriptMissing, "the folder of the revision is gone; an earlier script must have removed it: %w", err)
	}
	defer root.Close()
	name := inside(h.script.Location)
	f, err := root.Open(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h.fail(lifecycle.ScriptMissing, "the script is not in the revision (any more); it was there when the revision was downloaded, so an earlier script must have removed it: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return nil // the runner says what is wrong
	case err != nil:
		return h.fail(lifecycle.ScriptMissing, "the script cannot be opened inside of the revision: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if err := h.unchanged(name, f); err != nil {
		return err
	}
	return h.executable(info)
}

// unchanged compares the script with what was downloaded.
func (h *hook) unchanged(name string, f io.Reader) error {
	was, known := h.release.Scripts[name]
	if !known {
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) == was {
		return nil
	}
	if h.w.job.Strict {
		return h.fail(lifecycle.DigestMismatch, "the script was changed on the host since the revision was downloaded; deploy without Strict to run it nevertheless")
	}
	h.w.warn(lifecycle.DigestMismatch, "script %s was changed on the host since the revision was downloaded; it is run as it is now", h.script.Location)
	return nil
}

// executable makes the script executable, as CodeDeploy's agent does.
func (h *hook) executable(info fs.FileInfo) error {
	if info.Mode()&0o111 != 0 || !hasModes {
		return nil
	}
	if err := os.Chmod(h.script.Path, info.Mode().Perm()|0o111); err != nil {
		return h.fail(lifecycle.ScriptNotExecutable, "the script is not executable and could not be made so: %w", err)
	}
	h.w.warn(lifecycle.ScriptNotExecutable, "script %s was not executable and was made so; set its mode in the revision", h.script.Location)
	return nil
}

func (h *hook) fail(code lifecycle.Code, format string, args ...any) error {
	e := h.w.fail(code, format, args...)
	e.Script = h.script.Location
	return e
}
