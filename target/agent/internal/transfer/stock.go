package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

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
	folders []*folder
	files   map[string]kept // by digest
	chunks  map[wire.ChunkID][]byte
}

type kept struct {
	in   *folder
	path string
	size int64
}

// folder is that of one revision. It holds directories open: thousands of files in a
// few of them are each reached in one step. Any number of goroutines may use it.
type folder struct {
	root *os.Root
	mu   sync.Mutex
	dirs map[string]*os.Root
}

// maxDirs bounds the directories that a folder holds open. Files in others are reached
// from its root.
const maxDirs = 32

// at is the directory that holds a file, and the file's name from there.
func (f *folder) at(file string) (*os.Root, string) {
	dir, name := path.Split(file)
	if dir == "" {
		return f.root, name
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, open := f.dirs[dir]
	if !open && len(f.dirs) < maxDirs {
		if d, _ = f.root.OpenRoot(filepath.FromSlash(dir)); d != nil {
			f.dirs[dir] = d
		}
	}
	if d == nil {
		return f.root, filepath.FromSlash(file)
	}
	return d, name
}

func (f *folder) close() {
	for _, d := range f.dirs {
		_ = d.Close()
	}
	_ = f.root.Close()
}

// newStock indexes the revisions. Folders that cannot be opened are passed over.
func newStock(list []Retained) *stock {
	s := &stock{files: map[string]kept{}, chunks: map[wire.ChunkID][]byte{}}
	for _, r := range list {
		root, err := os.OpenRoot(r.Dir)
		if err != nil {
			continue
		}
		f := &folder{root: root, dirs: map[string]*os.Root{}}
		s.folders = append(s.folders, f)
		for i := range r.Manifest.Entries {
			e := &r.Manifest.Entries[i]
			if _, known := s.files[e.Digest]; !known && e.Mode.IsRegular() {
				s.files[e.Digest] = kept{f, e.Path, e.Size}
			}
		}
		for _, c := range wire.Chunks(r.Manifest) {
			s.chunks[c.ID] = c.Data
		}
	}
	return s
}

func (s *stock) close() {
	for _, f := range s.folders {
		f.close()
	}
}

// has reports whether the file of a digest seems to be there; its content is only
// read when it is sure to be needed. With sure it is read now.
func (s *stock) has(ctx context.Context, e *revision.Entry, sure bool) bool {
	k, ok := s.files[e.Digest]
	if !ok || k.size != e.Size {
		return false
	}
	dir, name := k.in.at(k.path)
	info, err := dir.Lstat(name)
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

func (k kept) open() (io.ReadCloser, error) {
	dir, name := k.in.at(k.path)
	return dir.Open(name)
}

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
