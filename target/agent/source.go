package agent

import (
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// supply says which revision an event takes its scripts from.
type supply int

const (
	current   supply = iota // the one being deployed
	installed               // the one whose files are there now
	latest                  // the one downloaded last, installed or not
)

// supplies is CodeDeploy's table. Events that it does not list take the current
// revision. back is its column for a deployment that a rollback created and that
// is blue/green; an in-place rollback is an ordinary deployment.
var supplies = map[lifecycle.Event]struct{ normal, back supply }{
	lifecycle.BeforeBlockTraffic: {installed, latest},
	lifecycle.AfterBlockTraffic:  {installed, latest},
	lifecycle.ApplicationStop:    {installed, installed},
	lifecycle.BeforeAllowTraffic: {current, installed},
	lifecycle.AfterAllowTraffic:  {current, installed},
}

// supplier finds the revision of an event. A nil release means that there is
// nothing to run. Once this deployment has downloaded its own revision, every
// event takes that one.
func (w *work) supplier() (dir string, r *release, err error) {
	if exists(filepath.Join(w.dir, releaseFile)) {
		return w.own()
	}
	from := supplies[w.step.Event].normal
	if w.job.BlueGreen && w.job.Rollback {
		from = supplies[w.step.Event].back
	}
	if from == current {
		return "", nil, w.fail(lifecycle.RevisionUnavailable,
			"the revision of this deployment is not on the host: DownloadBundle has to come before %s", w.step.Event)
	}
	return w.older(from)
}

// own reads this deployment's release.
func (w *work) own() (string, *release, error) {
	r, err := readRelease(w.dir)
	if err != nil {
		return "", nil, w.fail(lifecycle.RevisionUnavailable, "the revision of this deployment cannot be used: %w; run DownloadBundle again", err)
	}
	return w.dir, r, nil
}

// older finds a revision of an earlier deployment. A group that has none has
// nothing to run. One that was lost does not hold up its successors: CodeDeploy
// would be stuck until somebody repairs it by hand.
func (w *work) older(from supply) (string, *release, error) {
	g, err := w.a.group(w.job.Group)
	if err != nil {
		return "", nil, w.lost("the record of the deployment group: %v", err)
	}
	was := g.Installed
	if from == latest {
		was = g.Latest
	}
	if was.Deployment == "" {
		return "", nil, nil
	}
	dir := filepath.Join(filepath.Dir(w.dir), part(was.Deployment))
	r, err := readRelease(dir)
	switch {
	case err != nil:
		return "", nil, w.lost("deployment %s: %v", was.Deployment, err)
	case !exists(filepath.Join(dir, archiveDir)):
		return "", nil, w.lost("deployment %s: %s is missing", was.Deployment, filepath.Join(dir, archiveDir))
	}
	return dir, r, nil
}

// lost skips the scripts of an older revision, and says so. Under Strict it is an
// error, as it always is with CodeDeploy.
func (w *work) lost(format string, args ...any) error {
	e := w.fail(lifecycle.PreviousUnavailable, "the scripts of the installed revision are lost or damaged ("+format+")", args...)
	if w.job.Strict {
		e.Message += "; deploy without Strict to go on without them"
		return e
	}
	w.warn(e.Code, "%s was skipped: %s", w.step.Event, e.Message)
	return nil
}
