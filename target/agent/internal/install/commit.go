package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-multierror"
)

// txn is a transaction as its undo log describes it: the part that recovery shares
// with a living install.
type txn struct {
	state string
	log   *undoLog
	tools *labeller
	books *books             // head and kept files of the next list; nil: it had not got that far
	next  map[string]*record // the whole list by path, once it is needed
	seam  func(string) error

	dir *dir // the last one opened
	at  string
}

func (t *txn) effect(format string, args ...any) error {
	if t.seam == nil {
		return nil
	}
	return t.seam(fmt.Sprintf(format, args...))
}

// wanted is what the install is to own, by path, read from the list it has written.
func (t *txn) wanted() (map[string]*record, error) {
	if t.next != nil {
		return t.next, nil
	}
	b, err := readBooks(filepath.Join(t.state, nextName))
	if err != nil {
		return nil, err
	}
	t.next = make(map[string]*record, len(b.records))
	for _, r := range b.records {
		t.next[r.Path] = r
	}
	return t.next, nil
}

// open opens an op's directory, keeping the last one.
func (t *txn) open(path string) (*dir, error) {
	if t.dir != nil && t.at == path {
		return t.dir, nil
	}
	t.close()
	d, err := openDir(path)
	if err == nil {
		t.dir, t.at = d, path
	}
	return d, err
}

func (t *txn) close() {
	t.dir.close()
	t.dir = nil
}

// sync makes what was staged durable: each file system once.
func (t *txn) sync() error {
	defer t.close()
	if err := t.effect("sync"); err != nil {
		return err
	}
	seen := map[uint64]bool{}
	last := ""
	for _, o := range t.log.ops {
		if o.Dir == last {
			continue
		}
		last = o.Dir
		d, err := t.open(o.Dir)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return err
		}
		st, err := d.self()
		if err != nil {
			return err
		}
		if syncsAll && seen[st.Dev] {
			continue
		}
		seen[st.Dev] = true
		if err := d.sync(); err != nil {
			return err
		}
	}
	return nil
}

// commit does the ops.
func (t *txn) commit(owned func(string) bool) error {
	defer t.close()
	for _, o := range t.log.ops {
		if err := t.effect("%s %s", o.Do, o.path()); err != nil {
			return err
		}
		d, err := t.open(o.Dir)
		if err != nil {
			return err
		}
		if o.OldDir && owned != nil {
			if err := onlyOwned(d, o.Name, o.path(), owned); err != nil {
				return err
			}
		}
		if err := o.do(d); err != nil {
			return fmt.Errorf("%s: %w", o.path(), cause(err))
		}
	}
	return nil
}

// onlyOwned makes sure that a directory that gives way holds nothing foreign.
func onlyOwned(d *dir, name, path string, owned func(string) bool) error {
	sub, err := d.open(name)
	if err != nil {
		return nil // not a directory any more; the op finds out
	}
	defer sub.close()
	names, err := sub.names()
	if err != nil {
		return err
	}
	for _, n := range names {
		p := filepath.Join(path, n)
		if !owned(p) {
			return fmt.Errorf("%s was put there by somebody while installing; deploy again", p)
		}
		if st, ok := sub.exists(n); ok && st.Kind == kindDir {
			if err := onlyOwned(sub, n, p, owned); err != nil {
				return err
			}
		}
	}
	return nil
}

// relabel runs the SELinux tools: old rules out, new ones in.
func (t *txn) relabel(ctx context.Context) error {
	for _, r := range t.log.Dropped {
		if err := t.effect("drop label of %s", r.Path); err != nil {
			return err
		}
		t.tools.drop(ctx, r.Path)
	}
	for _, r := range t.log.Labels {
		if err := t.effect("label %s", r.Path); err != nil {
			return err
		}
		if err := t.tools.add(ctx, r.Path, r.Label); err != nil {
			return err
		}
	}
	return nil
}

// rollBack puts everything back, and forgets the transaction if that succeeded.
func (t *txn) rollBack() error {
	defer t.close()
	var errs *multierror.Error
	if t.books != nil {
		next, err := t.wanted()
		if err != nil {
			return err
		}
		for i := len(t.log.ops) - 1; i >= 0; i-- {
			o := t.log.ops[i]
			if err := t.effect("undo %s %s", o.Do, o.path()); err != nil {
				return err
			}
			d, err := t.open(o.Dir)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = o.undo(d, next)
			}
			if err != nil {
				errs = multierror.Append(errs, fmt.Errorf("%s: %w", o.path(), cause(err)))
			}
		}
		t.unlabel()
	}
	if errs == nil {
		errs = multierror.Append(errs, t.clear()...)
	}
	if err := errs.ErrorOrNil(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(t.state, keptName, t.log.Txn)); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(t.state, keptName, t.log.Txn+editedSuffix)); err != nil {
		return err
	}
	return t.forget()
}

// unlabel takes back what relabel did, as well as it can be done.
func (t *txn) unlabel() {
	ctx := context.Background()
	if len(t.log.Labels)+len(t.log.Dropped) == 0 || t.tools == nil {
		return
	}
	for _, r := range t.log.Labels {
		t.tools.drop(ctx, r.Path)
	}
	for _, r := range t.log.Dropped {
		_ = t.tools.add(ctx, r.Path, r.Label)
	}
}

// clear removes what was staged. Foreign files that got into a tree meanwhile stay
// where their writer put them.
func (t *txn) clear() (errs []error) {
	for _, o := range t.log.ops {
		if o.Temp == "" {
			continue
		}
		if err := t.effect("clear %s", o.path()); err != nil {
			return []error{err}
		}
		d, err := t.open(o.Dir)
		if err != nil {
			continue
		}
		var known map[string]*record
		if o.Tree {
			known = t.next
		}
		left, err := removeTree(d, o.Temp, o.path(), known)
		if err == nil && left {
			err = d.renameNew(o.Temp, o.Name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.path(), cause(err)))
		}
	}
	return errs
}

// finish tidies up after the commit. It may be repeated.
func (t *txn) finish() error {
	defer t.close()
	var errs *multierror.Error
	for _, o := range t.log.ops {
		if err := t.effect("finish %s", o.path()); err != nil {
			return err
		}
		d, err := t.open(o.Dir)
		if err != nil {
			continue // gone, with all that was in it
		}
		if _, staged := d.exists(o.Temp); o.Temp != "" && staged { // a rename that a power loss took back
			if err := o.do(d); err != nil {
				errs = multierror.Append(errs, fmt.Errorf("%s: %w", o.path(), cause(err)))
			}
		}
		if o.Park != "" {
			if _, err := removeTree(d, o.Park, o.path(), nil); err != nil {
				errs = multierror.Append(errs, fmt.Errorf("%s: %w", o.path(), cause(err)))
			}
		}
	}
	for i := len(t.log.Drops) - 1; i >= 0; i-- {
		if err := t.effect("drop %s", t.log.Drops[i]); err != nil {
			return err
		}
		if d, err := t.open(filepath.Dir(t.log.Drops[i])); err == nil {
			_ = d.rmdir(filepath.Base(t.log.Drops[i])) // stays if somebody uses it
		}
	}
	if err := t.sync(); err != nil {
		errs = multierror.Append(errs, err)
	}
	if err := prune(t.state, t.books); err != nil {
		errs = multierror.Append(errs, err)
	}
	if err := errs.ErrorOrNil(); err != nil {
		return err
	}
	return t.forget()
}

// forget ends the transaction.
func (t *txn) forget() error {
	if err := t.effect("forget"); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(t.state, undoName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(filepath.Join(t.state, nextName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncPath(t.state)
}

// removeTree removes a name of d and what is below it, through no link. With known,
// only what stands there is removed, under the path that it was to have; left says
// that something else is still in it.
func removeTree(d *dir, name, path string, known map[string]*record) (left bool, err error) {
	st, ok := d.exists(name)
	if !ok {
		return false, nil
	}
	if known != nil {
		if r := known[path]; r == nil || r.Kind != st.Kind {
			return true, nil
		}
	}
	if st.Kind != kindDir {
		return false, d.unlink(name)
	}
	sub, err := d.open(name)
	if err != nil {
		return false, err
	}
	defer sub.close()
	names, err := sub.names()
	if err != nil {
		return false, err
	}
	if len(names) > 0 && !sub.writable() {
		_ = sub.setSelf(-1, -1, 0o700)
	}
	for _, n := range names {
		more, err := removeTree(sub, n, filepath.Join(path, n), known)
		if err != nil {
			return false, err
		}
		left = left || more
	}
	if left {
		return true, nil
	}
	return false, d.rmdir(name)
}
