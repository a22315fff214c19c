package agent

import (
	"context"
	"os"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/serve"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// doer makes an agent do steps for controllers elsewhere.
type doer struct{ a *Agent }

func newDoer(dir string, s wire.Settings) serve.Doer {
	return doer{&Agent{Dir: dir, Root: s.Root, Allow: s.Allow, Env: s.Env, Keep: s.Keep, Grace: s.Grace, Wait: s.Wait}}
}

// Do implements serve.Doer.
func (d doer) Do(ctx context.Context, t target.Task, from serve.Bringer) error {
	if t.Step.Event == lifecycle.Start || t.Step.Event == lifecycle.Install {
		if err := os.MkdirAll(d.a.root(), 0o755); err != nil {
			return fail(t.Step, lifecycle.TargetFailed, "the root of the host cannot be made: %w", err)
		}
	}
	return d.a.performBy(ctx, t, func(ctx context.Context, w *work, sure bool) (*revision.Bundle, func(), error) {
		return from.Bring(ctx, w.a.incoming(), w.retainedAll, sure)
	})
}
