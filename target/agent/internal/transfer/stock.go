package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Retained is a revision that is on the host.
type Retained struct {
	Dir      string // of its files, which scripts may have changed since
	Manifest revision.Manifest
}

// stock is what the host has in its retained revisions.
type stock struct {
	roots  []*os.Root
	files  map[string]kept // by digest
	chunks map[wire.ChunkID][]byte
}

type kept struct {
	root *os.Root
	path string
	size int64
}

// newStock indexes the revisions. Folders that cannot be opened are passed over.
func newStock(list []Retained) *stock {
	s := &stock{files: map[string]kept{}, chunks: map[wire.ChunkID][]byte{}}
	for _, r := range list {
		root, err := os.OpenRoot(r.Dir)
		if err != nil {
			continue
		}
		s.roots = append(s.roots, root)
		for i := range r.Manifest.Entries {
			e := &r.Manifest.Entries[i]
			if _, known := s.files[e.Digest]; !known && e.Mode.IsRegular() {
				s.files[e.Digest] = kept{root, e.Path, e.Size}
			}
		}
		for _, c := range wire.Chunks(r.Manifest) {
			s.chunks[c.ID] = c.Data
		}
	}
	return s
}

func (s *stock) close() {
	for _, r := range s.roots {
		_ = r.Close()
	}
}

// has reports whether the file of a digest seems to be there; its content is only
// read when it is sure to be needed. With sure it is read now.
func (s *stock) has(ctx context.Context, e *revision.Entry, sure bool) bool {
	k, ok := s.files[e.Digest]
	if !ok || k.size != e.Size {
		return false
	}
	info, err := k.root.Lstat(filepath.FromSlash(k.path))
	if err != nil || !info.Mode().IsRegular() || info.Size() != e.Size {
		return false
	}
	return !sure || ctx.Err() == nil && k.intact(e.Digest)
}

func (k kept) intact(digest string) bool {
	f, err := k.open()
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == digest
}

func (k kept) open() (io.ReadCloser, error) { return k.root.Open(filepath.FromSlash(k.path)) }

// open is the content of an entry as the host has it.
func (s *stock) open(e revision.Entry) (io.ReadCloser, error) {
	k, ok := s.files[e.Digest]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return k.open()
}

// Prune removes spools and archives that were left in dir by other transfers; keep
// is the one that is still needed. Best effort.
func Prune(dir, keep string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if keep == "" || !strings.HasPrefix(e.Name(), keep) {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// Name is the begin of the names of all that belongs to the transfer of a revision.
func Name(digest string) string { return strings.ReplaceAll(digest, ":", "-") }

func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
