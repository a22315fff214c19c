package ec2

import (
	"context"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// Green says where the replacements of a blue/green deployment come from.
type Green struct {
	// Selection is a fleet that exists already (CodeDeploy: DISCOVER_EXISTING). Empty:
	// the fleet's one Auto Scaling group is copied (COPY_AUTO_SCALING_GROUP).
	Selection
}

func (f *Fleet) retire(ctx context.Context, unit string) error {
	_, err := f.retires.Do(ctx, "", unit)
	return err
}

func (f *Fleet) retireAll(ctx context.Context, _ string, ids []string) []batch.Result[struct{}] {
	return batch.Same(len(ids), struct{}{}, refuse(lifecycle.Unsupported, "not built yet"))
}
