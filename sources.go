package cutover

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
)

// source is the source at a recorded location. What the deployment deploys itself
// opens others of its kind, too.
func (r *runner) source(l revision.Location) (revision.Source, error) {
	with := r.d.Sources
	if own, ok := r.d.Revision.(revision.Opener); ok {
		with = append(slices.Clip(with), own)
	}
	return revision.FromLocation(l, with...)
}

// recorded opens the revision of a recorded deployment, wherever exactly that content
// can be had; nil, and why, if nowhere.
func (r *runner) recorded(ctx context.Context, plan strategy.Plan) (*revision.Bundle, *lifecycle.Error) {
	var why []error
	sources, err := r.candidates(plan)
	if err != nil {
		why = append(why, err)
	}
	for _, src := range sources {
		bundle, err := r.open(ctx, src)
		switch {
		case err != nil:
			why = append(why, err)
		case bundle.Manifest.Digest() != plan.Revision.Digest:
			why = append(why, errChanged)
		default:
			return bundle, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, &lifecycle.Error{Step: lifecycle.Step{Deployment: plan.Deployment}, Err: errors.Join(why...),
		Failure: lifecycle.Failure{Code: lifecycle.RevisionUnavailable, Message: inOneLine(why)}}
}

var errChanged = errors.New("its content has changed since the deployment was planned")

func inOneLine(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// mendable reports whether a revision that cannot be had may be had later, or by
// somebody with other credentials. It looks at each of the reasons.
func mendable(err error) bool {
	codes := []revision.Code{revision.Denied, revision.Unreachable, revision.Stalled, revision.WrongRegion, revision.UnknownKind}
	for _, c := range codes {
		if errors.Is(err, &revision.Error{Code: c}) {
			return true
		}
	}
	return false
}

// candidates are where the revision may be, the likeliest first. A record may say more
// than the deployment does, such as the version of an object that was the newest then.
func (r *runner) candidates(plan strategy.Plan) ([]revision.Source, error) {
	own := r.d.Revision
	at, err := r.source(plan.Revision.Location)
	_, opens := own.(revision.Opener)
	switch {
	case own == nil || plan.RollbackOf != "":
		if err != nil {
			return nil, err
		}
		return []revision.Source{at}, nil
	case err != nil:
		return []revision.Source{own}, nil
	case opens:
		return []revision.Source{at, own}, nil
	}
	return []revision.Source{own, at}, nil
}

// backNote says early that a rollback could not fetch what it would go back to.
func (r *runner) backNote(good *revision.Revision) []lifecycle.Note {
	if good == nil || good.Digest == "" {
		return nil
	}
	_, err := r.source(good.Location)
	if err == nil {
		return nil
	}
	return []lifecycle.Note{{Code: lifecycle.RevisionUnavailable,
		Text: "a rollback could not fetch the last good revision: " + err.Error() + "; set Sources. Only units that have retained it could go back"}}
}
