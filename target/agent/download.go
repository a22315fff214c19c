package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/transfer"
)

// prepare does Start: it brings the revision to the host and finds out whether
// the deployment can be done here, while the host still serves. Nothing that the
// host uses is touched.
func (w *work) prepare(ctx context.Context) error {
	r, m, err := w.fetch(ctx)
	if err == nil {
		err = w.check(ctx, r, m)
	}
	if err != nil {
		_ = os.RemoveAll(w.prepared()) // nobody asks for it any more; what stays is purged with the folder
	}
	return err
}

// download does DownloadBundle: it makes the fetched revision the current one of
// this deployment. Done again it changes nothing.
func (w *work) download(ctx context.Context) error {
	w.purge()
	w.a.forget()
	if !w.downloaded() {
		if err := w.obtain(ctx); err != nil {
			return err
		}
		if err := w.adopt(); err != nil {
			return w.fail(lifecycle.TargetFailed, "the downloaded revision cannot be put into its place: %w", err)
		}
	}
	_ = os.RemoveAll(w.prepared()) // of a Start that came again
	r, err := readRelease(w.dir)
	if err != nil {
		return w.fail(lifecycle.TargetFailed, "the downloaded revision cannot be read back: %w", err)
	}
	err = w.a.setGroup(w.job.Group, func(g *group) { g.Latest = Release{Deployment: r.Deployment, Digest: r.Digest} })
	if err != nil {
		return w.fail(lifecycle.TargetFailed, "the download cannot be recorded: %w", err)
	}
	return nil
}

// obtain makes sure that the revision is prepared. Where Start has done that, it
// has checked it, too.
func (w *work) obtain(ctx context.Context) error {
	if r, err := readRelease(w.prepared()); err == nil && w.wanted(r) {
		return nil
	}
	return w.prepare(ctx)
}

// downloaded reports whether the deployment has its revision already.
func (w *work) downloaded() bool {
	r, err := readRelease(w.dir)
	return err == nil && w.wanted(r) && exists(filepath.Join(w.dir, archiveDir))
}

// wanted reports whether r is the revision that the job pins.
func (w *work) wanted(r *release) bool {
	want := w.job.Revision.Digest
	if want == "" && w.job.Bundle != nil {
		want = w.job.Bundle.Manifest.Digest()
	}
	return want == "" || want == r.Digest
}

func (w *work) prepared() string { return filepath.Join(w.dir, preparedDir) }

// fetch copies the revision into a private folder beside its place, reads its
// AppSpec and writes down what it is. The release is written last: where it is,
// everything is.
func (w *work) fetch(ctx context.Context) (*release, revision.Manifest, error) {
	if r, err := readRelease(w.prepared()); err == nil && w.wanted(r) {
		if m, err := readManifest(filepath.Join(w.prepared(), manifestFile)); err == nil {
			return r, m, nil
		}
	}
	b, digest, done, err := w.bundle(ctx)
	if err != nil {
		return nil, revision.Manifest{}, err
	}
	need := b.Manifest.Size()
	r, err := w.copy(ctx, b, digest)
	done()
	if w.bring != nil && changedHere(err) {
		// A script has changed a retained revision. What it changed is sent again.
		if b, done, err = w.brought(ctx, true); err != nil {
			return nil, revision.Manifest{}, err
		}
		r, err = w.copy(ctx, b, digest)
		done()
	}
	if ctx.Err() == nil { // what came is used, or of no use
		transfer.Prune(w.a.incoming(), "")
	}
	return r, b.Manifest, w.roomFor(need, err)
}

// roomFor says how much room there is, if that is what an error is about.
func (w *work) roomFor(need int64, err error) error {
	e, ok := errors.AsType[*lifecycle.Error](err)
	if !ok {
		return err
	}
	if full := transfer.WithSpace(e.Err, w.a.dir(), need); full != e.Err {
		return w.fail(e.Code, "%w", full)
	}
	return err
}

// changedHere reports whether a copy failed because a file was not what it was.
func changedHere(err error) bool {
	e, ok := errors.AsType[*lifecycle.Error](err)
	return ok && e.Code == lifecycle.DigestMismatch
}

func (w *work) copy(ctx context.Context, b *revision.Bundle, digest string) (*release, error) {
	if err := os.RemoveAll(w.prepared()); err != nil {
		return nil, w.fail(lifecycle.TargetFailed, "what an earlier download left cannot be removed: %w", err)
	}
	if err := os.Mkdir(w.prepared(), 0o711); err != nil {
		return nil, w.fail(lifecycle.TargetFailed, "no folder for the revision can be made: %w", err)
	}
	archive := filepath.Join(w.prepared(), archiveDir)
	if err := b.Copy(ctx, archive, revision.CopyOptions{}); err != nil {
		return nil, w.revisionError(ctx, err)
	}
	for _, n := range b.Notes {
		w.warn("", "%s", n)
	}
	r, err := w.read(archive, b, digest)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(writeManifest(filepath.Join(w.prepared(), manifestFile), b.Manifest), writeJSON(filepath.Join(w.prepared(), releaseFile), r)); err != nil {
		return nil, w.fail(lifecycle.TargetFailed, "the revision cannot be recorded: %w", err)
	}
	return r, nil
}

// bundle is the content to deploy, and its digest: the one that came with the job,
// or the same revision as this host has retained it, or the one that is brought now.
// Done gives back what the bundle holds.
func (w *work) bundle(ctx context.Context) (b *revision.Bundle, digest string, done func(), err error) {
	b, want := w.job.Bundle, w.job.Revision.Digest
	done = func() {}
	if b == nil {
		if b, err = w.retained(want); err != nil && w.bring != nil {
			b, done, err = w.brought(ctx, false)
		}
		return b, want, done, err
	}
	have := b.Manifest.Digest()
	if want != "" && have != want {
		return nil, "", nil, w.fail(lifecycle.DigestMismatch, "the revision's content has digest %s, but the deployment pinned %s; open the revision again or start a new deployment", have, want)
	}
	return b, have, done, nil
}

// retained looks for a revision among those that the group's deployments left.
func (w *work) retained(digest string) (*revision.Bundle, error) {
	if digest == "" {
		return nil, w.fail(lifecycle.RevisionUnavailable, "the deployment names no revision")
	}
	for _, name := range byAge(filepath.Dir(w.dir)) {
		dir := filepath.Join(filepath.Dir(w.dir), name)
		r, err := readRelease(dir)
		if err != nil || r.Digest != digest {
			continue
		}
		m, err := readManifest(filepath.Join(dir, manifestFile))
		if err == nil && m.Digest() == digest {
			return &revision.Bundle{Dir: filepath.Join(dir, archiveDir), Kind: r.Kind, Manifest: m}, nil
		}
	}
	return nil, w.fail(lifecycle.RevisionUnavailable, "revision %s is neither at its source nor retained on this host; deploy a revision that is", digest)
}

// revisionError gives an error of package revision its code.
func (w *work) revisionError(ctx context.Context, err error) error {
	e, ok := errors.AsType[*revision.Error](err)
	switch {
	case ctx.Err() != nil:
		return err
	case !ok:
		return w.fail(lifecycle.TargetFailed, "the revision could not be copied to the host: %w", err)
	case e.Code == revision.DigestMismatch:
		return w.fail(lifecycle.DigestMismatch, "%w; open the revision again or start a new deployment", err)
	case e.Code == revision.WriteFailed:
		return w.fail(lifecycle.TargetFailed, "%w", err)
	case e.Code == revision.NotFound || e.Code == revision.NotReadable:
		return w.fail(lifecycle.RevisionUnavailable, "%w", err)
	}
	return w.fail(lifecycle.RevisionInvalid, "%w", err)
}

// read finds, parses and checks the AppSpec of a revision.
func (w *work) read(archive string, b *revision.Bundle, digest string) (*release, error) {
	name, spec, notes, err := readSpec(archive, w.job)
	for _, n := range notes {
		w.warn(n.Code, "%s", n.Text)
	}
	if err != nil {
		return nil, asError(w.step, err)
	}
	r := &release{
		Format: releaseFormat, Group: w.job.Group, Deployment: w.step.Deployment,
		Digest: digest, Kind: b.Kind, AppSpec: name, Spec: spec, Scripts: map[string]string{},
	}
	for _, h := range spec.Hooks {
		for _, s := range h.Scripts {
			if d := scriptDigest(b.Manifest, inside(s.Location)); d != "" {
				r.Scripts[inside(s.Location)] = d
			}
		}
	}
	return r, nil
}

// scriptDigest is the digest of a script; links are followed inside the revision.
func scriptDigest(m revision.Manifest, name string) string {
	for range 10 {
		e := m.Find(name)
		if e == nil {
			return ""
		}
		if e.Link == "" {
			return e.Digest
		}
		name = inside(filepath.ToSlash(filepath.Join(filepath.Dir(name), e.Link)))
	}
	return ""
}

// adopt moves what was prepared into its place. The folder of the revision goes
// first and the release last, since it is the release that makes a revision
// current; a crash in between leaves what the next call can go on from.
func (w *work) adopt() error {
	archive := filepath.Join(w.dir, archiveDir)
	from := filepath.Join(w.prepared(), archiveDir)
	if exists(from) {
		if err := errors.Join(os.RemoveAll(filepath.Join(w.dir, releaseFile)), os.RemoveAll(archive)); err != nil {
			return err
		}
		if err := os.Rename(from, archive); err != nil {
			return err
		}
	}
	for _, name := range []string{manifestFile, releaseFile} {
		if err := os.Rename(filepath.Join(w.prepared(), name), filepath.Join(w.dir, name)); err != nil && !(name == manifestFile && exists(filepath.Join(w.dir, name))) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return errors.Join(os.RemoveAll(w.prepared()), syncDir(w.dir))
}
