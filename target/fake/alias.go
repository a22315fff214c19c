package fake

import (
	"context"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// Alias is a [target.Target] like an alias of a Lambda function. Its units are
// versions: the original, which has the traffic, and the replacement, which is the
// version published last.
//
// AllowTraffic gives a version its weight and the rest to the other one, so the
// weights add up to 100 always. All methods may be called from many goroutines.
type Alias struct {
	doer
	scales
	original, replacement string // the replacement is empty before the first Publish
}

var (
	_ target.Target      = (*Alias)(nil)
	_ target.Snapshotter = (*Alias)(nil)
)

// NewAlias makes an alias that points to a version.
func NewAlias(version string) *Alias {
	a := &Alias{original: version}
	a.init(a)
	a.begin(version, target.Full)
	return a
}

// Publish makes a new version, the replacement of the next deployment. Call it
// before each one. The original is then the version with the most traffic.
func (a *Alias) Publish(version string) {
	a.doer.mu.Lock()
	defer a.doer.mu.Unlock()
	if a.now(a.replacement) > a.now(a.original) {
		a.original = a.replacement
	}
	a.replacement = version
	a.begin(version, 0)
}

// Units implements [target.Target].
func (a *Alias) Units(ctx context.Context) ([]lifecycle.Unit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	a.doer.mu.Lock()
	defer a.doer.mu.Unlock()
	units := a.roles(a.original, a.replacement)
	if a.replacement == "" {
		return units[:1], nil
	}
	return units, nil
}

// Snapshot implements [target.Snapshotter].
func (a *Alias) Snapshot(ctx context.Context, _ *target.Job) (target.Snapshot, error) {
	return a.snapshot(ctx)
}

// Interfere is somebody else who gives a version a weight and the rest to the other
// one.
func (a *Alias) Interfere(version string, w lifecycle.Weight) {
	a.doer.mu.Lock()
	defer a.doer.mu.Unlock()
	a.split(0, version, w, a.original, a.replacement)
}

func (a *Alias) has(unit string) (lifecycle.Weight, bool) { return a.now(unit), true }

func (a *Alias) missing(unit string) string {
	if _, known := a.Weights()[unit]; known {
		return ""
	}
	return "the fake function has no version of that name"
}

// effect is what a step changes in the alias.
func (a *Alias) effect(t target.Task, stale time.Duration) error {
	switch e := t.Step.Event; {
	case e == lifecycle.AllowTraffic:
		if back := a.before(t); back != nil {
			a.set(stale, back...)
			return nil
		}
		a.split(stale, t.Step.Unit, weightOf(t.Step), a.original, a.replacement)
	case !slices.Contains(lifecycle.LambdaReplacement.Events(), e):
		return failure(t.Step, lifecycle.Unsupported, "a Lambda alias has no such event")
	}
	return nil
}
