package agent

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/install"
)

// sure are the events that every deployment of a new revision to a host goes
// through. Those around traffic come only where there is a load balancer.
var sure = []lifecycle.Event{
	lifecycle.BeforeInstall, lifecycle.AfterInstall, lifecycle.ApplicationStart, lifecycle.ValidateService,
}

// check finds out whether this host can run the scripts of a fetched revision and
// install its files.
func (w *work) check(ctx context.Context, r *release, m revision.Manifest) error {
	archive := filepath.Join(w.prepared(), archiveDir)
	if err := w.checkNew(r, archive); err != nil {
		return err
	}
	if err := w.checkOld(); err != nil {
		return err
	}
	return w.checkInstall(ctx, r, archive, m)
}

// checkNew looks up whom the new revision's scripts run as. Where an event may not
// come, what is wrong with its accounts is a warning, but under Strict.
func (w *work) checkNew(r *release, archive string) error {
	root, err := os.OpenRoot(archive)
	if err != nil {
		return w.fail(lifecycle.TargetFailed, "the fetched revision cannot be opened: %w", err)
	}
	defer root.Close()
	var earlier []appspec.Script
	for _, event := range lifecycle.Server.Scriptable() {
		if event == lifecycle.ApplicationStop {
			continue // runs when this revision is replaced, and is looked up then
		}
		certain := w.job.Strict || slices.Contains(sure, event)
		for _, s := range r.Spec.Scripts(event) {
			err := usable(s, archive, w.dir)
			switch {
			case err == nil:
			case !certain || s.RunAs != nil && mentioned(root.FS(), earlier, *s.RunAs):
				w.warn(lifecycle.RunAsInvalid, "%s: %v", event, scriptError(lifecycle.Step{}, s, err))
			default:
				return scriptError(w.step, s, err)
			}
			earlier = append(earlier, s)
		}
	}
	return nil
}

// mentioned reports whether a script that runs earlier mentions what a later one
// needs: an account, a file. Such a script may well create it, so it is too early
// to say that it is missing.
func mentioned(fsys fs.FS, earlier []appspec.Script, what string) bool {
	if what == "" {
		return false
	}
	for _, e := range earlier {
		text, err := fs.ReadFile(fsys, inside(e.Location))
		if err == nil && bytes.Contains(text, []byte(what)) {
			return true
		}
	}
	return false
}

// checkOld looks up whom the installed revision's ApplicationStop runs as.
func (w *work) checkOld() error {
	g, err := w.a.group(w.job.Group)
	if err != nil || g.Installed.Deployment == "" {
		return nil // the event itself says what is lost
	}
	dir := filepath.Join(filepath.Dir(w.dir), part(g.Installed.Deployment))
	r, err := readRelease(dir)
	if err != nil || exists(filepath.Join(w.dir, releaseFile)) {
		return nil
	}
	for event := range stopping {
		for _, s := range r.Spec.Scripts(event) {
			err := usable(s, filepath.Join(dir, archiveDir), dir)
			if err == nil {
				continue
			}
			err = scriptError(w.step, s, err)
			e, ok := errors.AsType[*lifecycle.Error](err)
			if !ok || w.job.IgnoreStopFailures || event != lifecycle.ApplicationStop {
				w.warn(lifecycle.RunAsInvalid, "%s of the installed revision: %v", event, err)
				continue
			}
			e.Message += "; it is " + string(event) + " of the installed revision: to deploy without it, set IgnoreStopFailures"
			return e
		}
	}
	return nil
}

// checkInstall plans the install without doing it. A refusal counts only if no
// script runs before Install: scripts often clear the way, CodeDeploy's users are
// told to do so.
func (w *work) checkInstall(ctx context.Context, r *release, archive string, m revision.Manifest) error {
	request := w.request(r, archive, m)
	request.Trial = true
	plan, err := install.NewPlan(ctx, request)
	switch {
	case err == nil:
		w.pass(plan.Notes)
		return nil
	case ctx.Err() != nil || !w.scriptsBeforeInstall(r):
		return asError(w.step, err)
	}
	w.warn(lifecycle.InstallRefused, "as the host is now, Install would be refused; a script that runs before it may change that: %v", err)
	return nil
}

// scriptsBeforeInstall reports whether a script runs between this step and Install.
func (w *work) scriptsBeforeInstall(r *release) bool {
	if len(r.Spec.Scripts(lifecycle.BeforeInstall)) > 0 {
		return true
	}
	g, err := w.a.group(w.job.Group)
	if err != nil || g.Installed.Deployment == "" || w.step.Event != lifecycle.Start {
		return false
	}
	old, err := readRelease(filepath.Join(filepath.Dir(w.dir), part(g.Installed.Deployment)))
	if err != nil {
		return false
	}
	for event := range stopping {
		if len(old.Spec.Scripts(event)) > 0 {
			return true
		}
	}
	return false
}

func (w *work) pass(notes []lifecycle.Note) {
	for _, n := range notes {
		w.warn(n.Code, "%s", n.Text)
	}
}

// request is what the install of a revision is asked for.
func (w *work) request(r *release, archive string, m revision.Manifest) install.Request {
	env := merge(w.a.baseEnv(), w.job.Env)
	return install.Request{
		Root: w.a.root(), Allow: w.a.Allow,
		State: w.a.installState(w.job.Group), Others: w.otherStates(),
		Bundle: archive, Manifest: m, Spec: r.Spec, FileExists: w.job.FileExists,
		Group: w.job.Group, Deployment: w.step.Deployment, Strict: w.job.Strict,
		Protected: []string{w.a.dir()}, ToolPath: value(env, "PATH"), ToolEnv: env,
	}
}

func (a *Agent) installState(group string) string {
	return filepath.Join(a.dir(), installDir, part(group))
}

// otherStates are what the other groups of the host have installed, under their
// names as far as paths show them.
func (w *work) otherStates() map[string]string {
	dir := filepath.Join(w.a.dir(), installDir)
	others := map[string]string{}
	for _, name := range byAge(dir) {
		if name != part(w.job.Group) {
			others[name] = filepath.Join(dir, name)
		}
	}
	return others
}
