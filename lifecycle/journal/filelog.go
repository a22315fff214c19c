package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// fileLog is a group of a [File], locked.
type fileLog struct {
	j          *File
	dir, group string
	lock       *os.File // nil: closed
	entries    []entry  // ours alone while we hold the lock
	tails      map[string]tail
	file       *os.File // open for the last deployment appended to
	fileID     string
	failed     error // first error after which nobody knows what is durable
}

const partial = ".partial" // a file that has not got its first Append yet

// load lists the group, and removes what a crash left of a file that never came
// to be.
func (l *fileLog) load() (err error) {
	if l.entries, err = list(l.dir, l.group); err != nil {
		return err
	}
	names, err := os.ReadDir(l.dir)
	for _, name := range names {
		if strings.HasSuffix(name.Name(), suffix+partial) {
			err = errors.Join(err, os.Remove(filepath.Join(l.dir, name.Name())))
		}
	}
	return err
}

func (l *fileLog) Deployments(ctx context.Context) ([]string, error) {
	if l.lock == nil {
		return nil, ErrClosed
	}
	return ids(l.entries), context.Cause(ctx)
}

func (l *fileLog) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	if l.lock == nil {
		return fail(ErrClosed)
	}
	return readEntry(ctx, l.entries, l.group, id, from, l.seen)
}

// seen remembers where a file ends, so that an Append need not read it again.
func (l *fileLog) seen(e entry, t tail, torn int64) {
	if _, known := l.tails[e.id]; known {
		return
	}
	t.torn = torn
	l.tails[e.id] = t
	if torn > 0 && l.j.Note != nil {
		l.j.Note(lifecycle.Note{Code: lifecycle.JournalFailed, Text: fmt.Sprintf(
			"journal: %s: the last %d bytes, from byte %d, are an append that a crash cut short: dropped; it was never acted on", e.path, torn, t.size)})
	}
}

func (l *fileLog) Append(ctx context.Context, records ...lifecycle.Record) error {
	switch {
	case l.lock == nil:
		return ErrClosed
	case l.failed != nil:
		return fmt.Errorf("%w: %w", ErrFailed, l.failed)
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case len(records) == 0:
		return nil
	}
	id, err := checkBatch(records)
	if err != nil {
		return err
	}
	t, known, err := l.tail(ctx, id)
	if err != nil {
		return err
	}
	if err := checkNext(id, records[0].Seq, t.next); err != nil {
		return err
	}
	e := encoder{sum: t.sum}
	if !known {
		if err := e.line(header{version, l.group, id}, markMore); err != nil {
			return err
		}
	}
	if err := e.records(records); err != nil {
		return err
	}
	if known {
		err = l.extend(id, t, e.buf.Bytes())
	} else {
		err = l.create(id, e.buf.Bytes())
	}
	if err != nil {
		return fmt.Errorf("journal: deployment %s: records %d to %d: %w", id, records[0].Seq, records[len(records)-1].Seq, err)
	}
	l.tails[id] = tail{next: t.next + int64(len(records)), size: t.size + int64(e.buf.Len()), sum: e.sum}
	return nil
}

// tail finds out where the next Append goes.
func (l *fileLog) tail(ctx context.Context, id string) (t tail, known bool, err error) {
	if t, known = l.tails[id]; known {
		return t, true, nil
	}
	i := slices.IndexFunc(l.entries, func(e entry) bool { return e.id == id })
	if i < 0 {
		return tail{next: 1}, false, nil
	}
	t, torn, err := scan(ctx, l.entries[i], l.group, maxSeq, nil)
	if err == nil {
		l.seen(l.entries[i], t, torn)
		t = l.tails[id]
	}
	return t, true, err
}

const maxSeq = int64(1)<<62 - 1

// create writes a deployment's first Append beside its place and moves it there
// when it is on the disk: a file that has its name is complete.
func (l *fileLog) create(id string, data []byte) error {
	n := 1
	if len(l.entries) > 0 {
		n = l.entries[len(l.entries)-1].n + 1
	}
	e := entry{n, id, filepath.Join(l.dir, fileName(n, id))}
	if err := l.writeNew(e.path+partial, data); err != nil {
		_ = os.Remove(e.path + partial) // it has no name yet, so it does not count
		return err
	}
	if err := os.Rename(e.path+partial, e.path); err != nil {
		_ = os.Remove(e.path + partial)
		return err
	}
	l.entries = append(l.entries, e)
	if err := syncDir(l.dir); err != nil {
		l.failed = err
		return err
	}
	return nil
}

func (l *fileLog) writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		if err = l.syncFile(f); err != nil {
			l.failed = err
		}
	}
	return errors.Join(err, f.Close())
}

// extend writes behind what is good.
func (l *fileLog) extend(id string, t tail, data []byte) error {
	if err := l.openFile(id); err != nil {
		return err
	}
	if err := l.trim(t); err != nil {
		return err
	}
	if _, err := l.file.WriteAt(data, t.size); err != nil {
		return l.takeBack(t, err)
	}
	if err := l.syncFile(l.file); err != nil {
		// The kernel reports a lost write once and then calls the page clean, so
		// another sync would lie. Shorten the file so that no reader meets the
		// records, and stop.
		l.failed = err
		_ = l.file.Truncate(t.size)
		return err
	}
	return nil
}

func (l *fileLog) openFile(id string) error {
	if l.fileID == id && l.file != nil {
		return nil
	}
	l.closeFile()
	i := slices.IndexFunc(l.entries, func(e entry) bool { return e.id == id })
	f, err := os.OpenFile(l.entries[i].path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	l.file, l.fileID = f, id
	return nil
}

// trim cuts a torn tail off. A file of any other length than we left it was
// written to by somebody who did not ask for the lock.
func (l *fileLog) trim(t tail) error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	switch size := info.Size(); {
	case size == t.size:
		return nil
	case size != t.size+t.torn:
		return fmt.Errorf("%w: %s has %d bytes where %d were left: somebody else writes to it", ErrConflict, l.file.Name(), size, t.size+t.torn)
	}
	return l.file.Truncate(t.size)
}

// takeBack undoes a write that failed in the middle, a full disk for example, so
// that it can be tried again once there is room.
func (l *fileLog) takeBack(t tail, cause error) error {
	err := l.file.Truncate(t.size)
	if err == nil {
		err = l.syncFile(l.file)
	}
	if err != nil {
		l.failed = errors.Join(cause, err)
	}
	return cause
}

func (l *fileLog) syncFile(f *os.File) error {
	if l.j.sync != nil {
		return l.j.sync(f)
	}
	return f.Sync()
}

func (l *fileLog) closeFile() {
	if l.file != nil {
		_ = l.file.Close() // everything was synced
		l.file = nil
	}
}

func (l *fileLog) Close() error {
	if l.lock == nil {
		return nil
	}
	l.closeFile()
	err := l.lock.Close()
	l.lock = nil
	return err
}
