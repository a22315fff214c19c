package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// entry is a deployment's file.
type entry struct {
	n    int
	id   string
	path string
}

// list finds the deployments of a group, oldest first.
func list(dir, group string) ([]entry, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, name := range names {
		n, id, ok := splitName(name.Name())
		if !ok {
			continue
		}
		e := entry{n, id, filepath.Join(dir, name.Name())}
		if e.id == "" {
			if e.id, err = readID(e.path, group); err != nil {
				return nil, err
			}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.n - b.n })
	for i := 1; i < len(entries); i++ {
		if entries[i].n == entries[i-1].n {
			return nil, fmt.Errorf("%w: two files have number %d: %s and %s: move away the one that does not belong there",
				ErrCorrupt, entries[i].n, entries[i-1].path, entries[i].path)
		}
	}
	return entries, nil
}

func readID(path, group string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h, err := newScanner(f, path).header(group, "")
	return h.Deployment, err
}

func newScanner(r io.Reader, path string) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 64<<10), file: path}
}

// scan reads a deployment's file, gives every record from the number on to
// yield, and returns where the good part ends. torn is the number of bytes after
// it. Records reach yield only when their whole Append was read.
func scan(ctx context.Context, e entry, group string, from int64, yield func(lifecycle.Record) bool) (t tail, torn int64, err error) {
	f, err := os.Open(e.path)
	if err != nil {
		return t, 0, err
	}
	defer f.Close()
	return scanFrom(ctx, f, e, group, from, yield)
}

func scanFrom(ctx context.Context, r io.Reader, e entry, group string, from int64, yield func(lifecycle.Record) bool) (t tail, torn int64, err error) {
	s := newScanner(r, e.path)
	if _, err := s.header(group, e.id); err != nil {
		return t, 0, err
	}
	t.next = 1
	var batch []lifecycle.Record
	for seq := int64(1); ; seq++ {
		text, done, err := s.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
			return t, s.end - t.size, s.complete(t)
		}
		if err == nil && seq%256 == 0 {
			err = context.Cause(ctx)
		}
		if err != nil {
			return t, 0, err
		}
		if seq >= from {
			r, err := s.record(text, e.id, seq)
			if err != nil {
				return t, 0, err
			}
			batch = append(batch, r)
		}
		if !done {
			continue
		}
		t = tail{next: seq + 1, size: s.end, sum: s.sum}
		for _, r := range batch {
			if !yield(r) {
				return t, 0, nil
			}
		}
		batch = batch[:0]
	}
}

func (s *scanner) complete(t tail) error {
	if t.next == 1 {
		return s.corrupt("the first append is not complete")
	}
	return nil
}

func (s *scanner) record(text []byte, id string, seq int64) (r lifecycle.Record, err error) {
	switch err := json.Unmarshal(text, &r); {
	case err != nil:
		return r, s.corrupt("not a record: " + err.Error())
	case r.Seq != seq:
		return r, s.corrupt(fmt.Sprintf("it has record %d where %d should be", r.Seq, seq))
	case r.Step.Deployment != id:
		return r, s.corrupt(fmt.Sprintf("it has a record of deployment %q", r.Step.Deployment))
	}
	return r, nil
}
