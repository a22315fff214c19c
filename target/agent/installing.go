package agent

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/install"
)

// install does Install: it puts right what an install that was cut off has left,
// plans the whole, and carries the plan out, all or nothing. Then the revision is
// the installed one of its group.
func (w *work) install(ctx context.Context) error {
	if !exists(filepath.Join(w.dir, releaseFile)) {
		return w.fail(lifecycle.RevisionUnavailable, "the revision of this deployment is not on the host: DownloadBundle has to come before Install")
	}
	dir, r, err := w.own()
	if err != nil {
		return err
	}
	if err := w.knownEvents(r); err != nil {
		return err
	}
	done, err := install.Recover(ctx, w.a.installState(w.job.Group))
	if err != nil {
		return err
	}
	w.pass(done.Notes)
	m, err := w.content(ctx, dir, r)
	if err != nil {
		return err
	}
	plan, err := install.NewPlan(ctx, w.request(r, filepath.Join(dir, archiveDir), m))
	if err != nil {
		return err
	}
	w.pass(plan.Notes)
	if err := plan.Apply(ctx); err != nil {
		return err
	}
	err = w.a.setGroup(w.job.Group, func(g *group) { g.Installed = Release{Deployment: r.Deployment, Digest: r.Digest} })
	if err != nil {
		return w.fail(lifecycle.TargetFailed, "the files are installed, but that cannot be recorded: %w", err)
	}
	return nil
}

// content lists what there is to install. Where scripts have run since the
// download, the folder is read again: like CodeDeploy's agent, Install takes what
// BeforeInstall has made of the revision. It says so, and under Strict refuses.
func (w *work) content(ctx context.Context, dir string, r *release) (revision.Manifest, error) {
	m, err := readManifest(filepath.Join(dir, manifestFile))
	if err != nil {
		return m, w.fail(lifecycle.RevisionUnavailable, "the downloaded revision cannot be read back: %w; run DownloadBundle again", err)
	}
	if !exists(filepath.Join(w.dir, filepath.FromSlash(logFile))) {
		return m, nil
	}
	b, err := revision.Dir(filepath.Join(dir, archiveDir)).Open(ctx, "")
	if err != nil {
		return m, w.revisionError(ctx, err)
	}
	changed := differences(m, b.Manifest)
	if len(changed) == 0 {
		return b.Manifest, nil
	}
	if w.job.Strict {
		return m, w.fail(lifecycle.DigestMismatch, "scripts changed the revision on the host since it was downloaded (%s); deploy without Strict to install it as it is now", some(changed))
	}
	w.warn(lifecycle.DigestMismatch, "scripts changed the revision on the host since it was downloaded (%s); it is installed as it is now", some(changed))
	return b.Manifest, nil
}

// differences lists the paths whose content is not the same in both. Modes do not
// count: the agent itself makes scripts executable.
func differences(was, is revision.Manifest) []string {
	var out []string
	for i := range is.Entries {
		e := &is.Entries[i]
		old := was.Find(e.Path)
		if old == nil || old.Digest != e.Digest || old.Link != e.Link || old.Mode.Type() != e.Mode.Type() {
			out = append(out, e.Path)
		}
	}
	for i := range was.Entries {
		if is.Find(was.Entries[i].Path) == nil {
			out = append(out, was.Entries[i].Path)
		}
	}
	return out
}

func some(paths []string) string {
	if len(paths) > 5 {
		return strings.Join(paths[:5], ", ") + ", …"
	}
	return strings.Join(paths, ", ")
}

// knownEvents compares the AppSpec with the list of all events that the deployment
// may have, if it carries one, as CodeDeploy's local tool does.
func (w *work) knownEvents(r *release) error {
	possible := w.job.PossibleEvents
	if len(possible) == 0 {
		return nil
	}
	for _, h := range r.Spec.Hooks {
		if !slices.Contains(possible, h.Event) {
			return w.fail(lifecycle.AppSpecInvalid, "the AppSpec has hooks for %s, which is not an event of this deployment; correct its name or remove it", h.Event)
		}
	}
	for _, e := range possible {
		if !usual(e) && r.Spec.Scripts(e) == nil {
			return w.fail(lifecycle.AppSpecInvalid, "the deployment has the event %s, but the AppSpec has no hooks for it; add them or leave the event out", e)
		}
	}
	return nil
}

// usual reports whether e is one of CodeDeploy's own events for servers.
func usual(e lifecycle.Event) bool {
	return lifecycle.Server.Takes(e) || slices.Contains(lifecycle.InPlaceBalanced.Events(), e)
}
