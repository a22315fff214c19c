package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent"
)

// packedFile is a packed revision that is gone when it is closed.
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
	f, err := os.CreateTemp("", "cutover-*.revision")
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	out := &packedFile{File: f}
	if err = agent.Pack(ctx, b, io.MultiWriter(f, h)); err == nil {
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

// repack is a packed revision that was put before and is packed again only if somebody reads
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
