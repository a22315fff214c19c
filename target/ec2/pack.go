package ec2

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"

	"github.com/cutover-deploy/cutover/revision"
)

// packedFile is an archive that is gone when it is closed.
type packedFile struct {
	*os.File
	sum  string
	size int64
}

// Close closes and removes it.
func (f *packedFile) Close() error {
	err := f.File.Close()
	if removeErr := os.Remove(f.Name()); err == nil {
		err = removeErr
	}
	return err
}

// packFile writes a bundle into a file, and stands at its beginning.
func packFile(ctx context.Context, b *revision.Bundle) (*packedFile, error) {
	f, err := os.CreateTemp("", "cutover-*.tar.gz")
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	out := &packedFile{File: f}
	if err = packTo(ctx, io.MultiWriter(f, h), b); err == nil {
		out.size, err = f.Seek(0, io.SeekEnd)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	out.sum = hex.EncodeToString(h.Sum(nil))
	return out, nil
}

// repack is an archive that was put before and is packed again only if somebody reads
// it, because it is no longer there.
type repack struct {
	pack func() (*packedFile, error)
	f    *packedFile
}

func (r *repack) open() (err error) {
	if r.f == nil {
		r.f, err = r.pack()
	}
	return err
}

// Read implements io.Reader. The file goes with its end.
func (r *repack) Read(p []byte) (int, error) {
	if err := r.open(); err != nil {
		return 0, err
	}
	n, err := r.f.Read(p)
	return n, err
}

// Seek implements io.Seeker.
func (r *repack) Seek(offset int64, whence int) (int64, error) {
	if err := r.open(); err != nil {
		return 0, err
	}
	return r.f.Seek(offset, whence)
}

func (r *repack) close() {
	if r.f != nil {
		r.f.Close()
	}
}

// packTo writes a bundle as a tar archive. The same bundle makes the same bytes.
func packTo(ctx context.Context, w io.Writer, b *revision.Bundle) error {
	open, done, err := opener(b)
	if err != nil {
		return err
	}
	defer done()
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, e := range b.Manifest.Entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := packEntry(t, e, open); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

// opener opens files of a bundle, from where it has them.
func opener(b *revision.Bundle) (open func(revision.Entry) (io.ReadCloser, error), done func(), err error) {
	if b.Content != nil {
		return b.Content, func() {}, nil
	}
	root, err := os.OpenRoot(b.Dir)
	if err != nil {
		return nil, nil, err
	}
	return func(e revision.Entry) (io.ReadCloser, error) { return root.Open(e.Path) }, func() { root.Close() }, nil
}

func packEntry(t *tar.Writer, e revision.Entry, open func(revision.Entry) (io.ReadCloser, error)) error {
	h := &tar.Header{Name: e.Path, Mode: int64(e.Mode.Perm()), Size: e.Size, Typeflag: tar.TypeReg, ModTime: e.ModTime}
	switch {
	case e.Mode.IsDir():
		h.Typeflag, h.Name, h.Size = tar.TypeDir, e.Path+"/", 0
	case e.Mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname, h.Size, h.Mode = tar.TypeSymlink, e.Link, 0, 0o777
	}
	if err := t.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := open(e)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}
