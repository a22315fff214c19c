package agent

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/transfer"
)

// bringer gets a revision that the host does not retain. Sure: what the host does
// retain was found changed, so it is to be read before it is relied on. Done gives
// back what the bundle holds.
type bringer func(ctx context.Context, w *work, sure bool) (b *revision.Bundle, done func(), err error)

func (a *Agent) incoming() string { return filepath.Join(a.dir(), incoming) }

// brought has the revision brought, and compares it with what was pinned.
func (w *work) brought(ctx context.Context, sure bool) (*revision.Bundle, func(), error) {
	// What is left of other transfers gives its room to this one.
	transfer.Prune(w.a.incoming(), transfer.Name(w.job.Revision.Digest))
	b, done, err := w.bring(ctx, w, sure)
	if err != nil {
		return nil, nil, w.bringError(ctx, err)
	}
	if have, want := b.Manifest.Digest(), w.job.Revision.Digest; want != "" && have != want {
		done()
		return nil, nil, w.fail(lifecycle.DigestMismatch, "the revision that came has digest %s, but the deployment pinned %s; start a new deployment", have, want)
	}
	return b, done, nil
}

func (w *work) bringError(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*revision.Error](err); ok {
		return w.revisionError(ctx, err)
	}
	code := lifecycle.TargetFailed
	switch {
	case abandoned(ctx, err):
		return err
	case errors.Is(err, transfer.ErrDigest):
		code = lifecycle.DigestMismatch
	case errors.Is(err, transfer.ErrUnavailable):
		code = lifecycle.RevisionUnavailable
	}
	return w.fail(code, "the revision could not be brought to the host: %w", err)
}

// retainedAll lists the revisions of the group that are on the host, the one that
// came last first.
func (w *work) retainedAll() []transfer.Retained {
	var all []transfer.Retained
	names := byAge(filepath.Dir(w.dir))
	for i := len(names) - 1; i >= 0; i-- {
		dir := filepath.Join(filepath.Dir(w.dir), names[i])
		if !exists(filepath.Join(dir, releaseFile)) {
			continue
		}
		if m, err := readManifest(filepath.Join(dir, manifestFile)); err == nil {
			all = append(all, transfer.Retained{Dir: filepath.Join(dir, archiveDir), Manifest: m})
		}
	}
	return all
}
