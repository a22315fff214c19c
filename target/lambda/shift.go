package lambda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// How an alias is read and written.
const (
	pause  = 2 * time.Second // between two reads of what may be stale
	looks  = 4               // reads before something unexpected is believed
	writes = 5               // updates that others may forestall
	settle = time.Minute     // until a weight that was written must be seen
)

func routingConfig(weights map[string]float64) *types.AliasRoutingConfiguration {
	return &types.AliasRoutingConfiguration{AdditionalVersionWeights: weights}
}

// allow does AllowTraffic.
func (a *Alias) allow(ctx context.Context, t target.Task) error {
	w := t.Step.Weight
	if w == 0 {
		w = target.Full
	}
	if w < 0 || w > target.Full {
		return fail(t.Step, lifecycle.StrategyInvalid, "weight %d is not from 0 to 100", w)
	}
	want := a.plain(t.Step.Unit, w)
	had, err := before(t.Job)
	if err != nil {
		return fail(t.Step, lifecycle.TargetFailed, "the snapshot cannot be read: %v", err)
	}
	if had.Alias > 0 && len(want.weights) > 0 {
		return fail(t.Step, lifecycle.Unsupported, "%s has provisioned concurrency, and Lambda allows no weights then: shift all at once, or move it to the versions (Alias.Provisioned)", a)
	}
	if err := a.ready(ctx, t, had); err != nil {
		return err
	}
	if err := a.shift(ctx, t, want, had); err != nil {
		return err
	}
	return a.cool(ctx, t, had)
}

// shift makes the alias lead where the step wants it, unless somebody else has changed
// it. It returns when that was read back.
func (a *Alias) shift(ctx context.Context, t target.Task, want routing, had provisioning) error {
	for range writes {
		now, err := a.look(ctx, t.Step, func(r routing) bool { return r.is(want) || a.expected(t, r) })
		if err != nil {
			return err
		}
		if now.is(want) {
			return a.verify(ctx, t, want, now.revision, had)
		}
		if !a.expected(t, now) {
			done, err := a.foreign(t, now, want)
			if done || err != nil {
				return err
			}
		}
		out, err := ask(ctx, a.Client.UpdateAlias, a.input(want, now.revision))
		switch c := code(err); {
		case c == changed, c == conflict: // since it was read, or what was read is old: look again
			if err := sleep(ctx, pause); err != nil {
				return err
			}
			continue
		case err != nil:
			return failed(ctx, t.Step, "lambda:UpdateAlias", a.String(), err)
		case out.RevisionId != nil:
			want.revision = *out.RevisionId
		}
		return a.verify(ctx, t, want, now.revision, had)
	}
	return fail(t.Step, lifecycle.ExternalChange, "%s was changed by somebody else each time before it could be set to %s; see who does that, and resume", a, want)
}

// expected reports whether the alias leads where the records say: the unit has its
// share, and no third version has any, unless it was found with one.
func (a *Alias) expected(t target.Task, r routing) bool {
	if t.Expect != nil && math.Abs(r.share(t.Step.Unit)-float64(*t.Expect)) > 1e-6 {
		return false
	}
	for _, v := range r.versions() {
		own := v == a.original() || v == a.replacement()
		if !own && r.share(v) > 0 && !found(t.Job, v, r.share(v)) {
			return false
		}
	}
	return true
}

func found(job *target.Job, version string, share float64) bool {
	return job != nil && job.Before != nil && job.Before.Weights[version] == lifecycle.Weight(math.Round(share))
}

// foreign decides about a change that somebody else has made. Done: the step is.
func (a *Alias) foreign(t target.Task, now, want routing) (done bool, err error) {
	expected := "only versions " + a.original() + " and " + a.replacement()
	if t.Expect != nil {
		expected = fmt.Sprintf("%d %% to version %s", *t.Expect, t.Step.Unit)
	}
	what := fmt.Sprintf("%s was changed by somebody else: expected %s, found %s", a, expected, now)
	larger := len(want.weights) > 0 && now.share(t.Step.Unit) >= want.share(t.Step.Unit)
	switch {
	case t.Foreign == target.AdoptForeign && larger:
		note(t, lifecycle.ExternalChange, what+"; it stays as it is")
		return true, nil
	case t.Foreign == target.AdoptForeign, t.Foreign == target.OverwriteForeign:
		note(t, lifecycle.ExternalChange, fmt.Sprintf("%s; it is set to %s", what, want))
		return false, nil
	}
	return false, fail(t.Step, lifecycle.ExternalChange, "%s; nothing was overwritten", what)
}

func note(t target.Task, code lifecycle.Code, text string) {
	if t.Note != nil {
		t.Note(lifecycle.Note{Code: code, Text: text})
	}
}

// look reads the alias. What is not as hoped for may be stale, and is read again before
// it is believed.
func (a *Alias) look(ctx context.Context, step lifecycle.Step, hoped func(routing) bool) (routing, error) {
	var last routing
	var err error
	for n := range looks {
		if n > 0 {
			if err := sleep(ctx, pause); err != nil {
				return last, err
			}
		}
		if last, err = a.read(ctx, step); err == nil && hoped(last) {
			return last, nil
		}
		if err != nil && !errors.Is(err, errEmpty) {
			return last, err
		}
	}
	return last, err
}

// errEmpty says that an answer had nothing in it.
var errEmpty = errors.New("the answer has no version in it")

// read reads the alias once.
func (a *Alias) read(ctx context.Context, step lifecycle.Step) (routing, error) {
	out, err := ask(ctx, a.Client.GetAlias, &lambda.GetAliasInput{FunctionName: &a.Spec.Function.Name, Name: &a.Spec.Function.Alias})
	if err != nil {
		return routing{}, failed(ctx, step, "lambda:GetAlias", a.String(), err)
	}
	r, ok := routingOf(out)
	if !ok {
		return r, failed(ctx, step, "lambda:GetAlias", a.String(), errEmpty)
	}
	return r, nil
}

// verify waits until two reads in a row show what was written over a revision, and for
// provisioned concurrency that moves with the alias.
func (a *Alias) verify(ctx context.Context, t target.Task, want routing, over string, had provisioning) error {
	seen, limit := 0, settle
	var last routing
	for began := time.Now(); time.Since(began) < limit; {
		now, err := a.read(ctx, t.Step)
		switch {
		case errors.Is(err, errEmpty):
			seen = 0
		case err != nil:
			return err
		case now.is(want):
			seen++
		default:
			seen, last = 0, now
		}
		moving := now.version == want.version && had.Alias > 0
		if moving {
			limit = warmth
			status, err := a.warm(ctx, t.Step, a.Spec.Function.Alias)
			if err != nil {
				return err
			}
			if status != "" && status != types.ProvisionedConcurrencyStatusEnumReady {
				seen = 0
			}
		}
		if seen == 2 {
			return nil
		}
		if err := sleep(ctx, pause/2); err != nil {
			return err
		}
	}
	return a.unseen(t, want, last, over)
}

// unseen is the error for a weight that was written and does not show: what shows is
// old, or somebody else's.
func (a *Alias) unseen(t target.Task, want, last routing, over string) error {
	if last.version != "" && want.revision != "" && last.revision != want.revision && last.revision != over {
		return fail(t.Step, lifecycle.ExternalChange, "%s was set to %s, and somebody else has changed it to %s", a, want, last)
	}
	return fail(t.Step, lifecycle.Unknown, "%s was set to %s, and %s later that does not show; it shows %s", a, want, settle, last)
}

// sleep waits, or returns the cause of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
