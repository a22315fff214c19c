package agent

import (
	"context"

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
	return d.a.performBy(ctx, t, func(ctx context.Context, w *work, sure bool) (*revision.Bundle, func(), error) {
		return from.Bring(ctx, w.a.incoming(), w.retainedAll, sure)
	})
}
