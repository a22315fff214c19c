package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// File is a Journal in a directory: one directory per group, in it one file per
// deployment, one line per record. Records are on the disk when Append returns.
// A group is locked by a file lock that ends with its process, so a crash never
// leaves one behind. The directory must be on a file system with working locks
// and syncs; a local disk has them.
//
// Files are plain text and may be read by people and tools at any time. They are
// not meant to be edited: a change shows as damage.
type File struct {
	// Dir is where the groups are. It is made when it is missing. Required.
	Dir string

	// Note takes warnings, such as that a record which a crash cut short was
	// dropped. Nil: dropped as well.
	Note func(lifecycle.Note)

	sync func(*os.File) error // replaces (*os.File).Sync in tests
}

const lockName = "lock"

// Open implements [Journal].
func (j *File) Open(ctx context.Context, group string) (Log, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if j.Dir == "" {
		return nil, errors.New("journal: File.Dir is empty: name the directory for the journal")
	}
	dir := filepath.Join(j.Dir, groupDir(group))
	if err := makeDirs(dir); err != nil {
		return nil, fmt.Errorf("journal: cannot make the directory of group %s: %w", group, err)
	}
	lock, err := lockGroup(dir, group)
	if err != nil {
		return nil, err
	}
	l := &fileLog{j: j, dir: dir, group: group, lock: lock, tails: map[string]tail{}}
	if err := l.load(); err != nil {
		l.Close()
		return nil, fmt.Errorf("journal: group %s: %w", group, err)
	}
	return l, nil
}

// Reader implements [Readable].
func (j *File) Reader(group string) Reader {
	return fileReader{filepath.Join(j.Dir, groupDir(group)), group}
}

// makeDirs is os.MkdirAll whose new names are durable.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDirs(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func lockGroup(dir, group string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: group %s: %w", group, err)
	}
	ok, err := tryLock(f)
	switch {
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("journal: cannot lock %s: %w: is the directory on a network file system?", f.Name(), err)
	case !ok:
		holder, _ := io.ReadAll(io.LimitReader(f, 100))
		f.Close()
		return nil, fmt.Errorf("%w: %s%s", ErrLocked, group, heldBy(string(holder)))
	}
	// Only for the text of ErrLocked, so a failure does not matter.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

func heldBy(text string) string {
	if pid := strings.TrimSpace(text); pid != "" {
		return fmt.Sprintf(" (process %.20q): wait for it to end", pid)
	}
	return ": wait for it to end"
}

// fileReader reads without a lock. It lists anew each time.
type fileReader struct{ dir, group string }

func (r fileReader) Deployments(ctx context.Context) ([]string, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	entries, err := list(r.dir, r.group)
	return ids(entries), err
}

func ids(entries []entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.id
	}
	return out
}

func (r fileReader) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	entries, err := list(r.dir, r.group)
	if err != nil {
		return fail(err)
	}
	return readEntry(ctx, entries, r.group, id, from, nil)
}

// readEntry reads a deployment's records. If it gets to the end, atEnd is told
// where that is and how many bytes after it were dropped.
func readEntry(ctx context.Context, entries []entry, group, id string, from int64, atEnd func(entry, tail, int64)) iter.Seq2[lifecycle.Record, error] {
	i := slices.IndexFunc(entries, func(e entry) bool { return e.id == id })
	if i < 0 {
		return fail(notFound(id))
	}
	return func(yield func(lifecycle.Record, error) bool) {
		left := false
		t, torn, err := scan(ctx, entries[i], group, from, func(r lifecycle.Record) bool {
			left = !yield(r, nil)
			return !left
		})
		switch {
		case left:
		case err != nil:
			yield(lifecycle.Record{}, err)
		case atEnd != nil:
			atEnd(entries[i], t, torn)
		}
	}
}
