package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// Names of the rules.
const (
	ReadsBack      = "what was appended is read back"
	ReadsFrom      = "reading starts where it is told"
	Outlives       = "records outlive the log"
	OldestFirst    = "deployments are listed oldest first"
	NotFound       = "an unknown deployment is not found"
	RefusesRepeat  = "a number that was used is refused"
	RefusesGap     = "a number that skips one is refused"
	AllOrNone      = "an append is all or none"
	OneController  = "one controller at a time"
	GroupsApart    = "groups do not meet"
	AnyName        = "every name is a name"
	Independent    = "records are independent of what was given"
	ClosedIsClosed = "a closed log does nothing"
	Cancelled      = "a cancelled append writes nothing"
)

// Rules lists the rules in the order in which they are checked.
func Rules() []Rule {
	return []Rule{
		{ReadsBack, "the state of a deployment is a fold of its records; one that changed on the way is another deployment", checkReadsBack},
		{ReadsFrom, "an observer that comes back reads on from where it was", checkReadsFrom},
		{Outlives, "the next controller is another process", checkOutlives},
		{OldestFirst, "the last good revision is found by going back from the newest deployment", checkOldestFirst},
		{NotFound, "an empty answer would pass for a deployment that has not begun", checkNotFound},
		{RefusesRepeat, "two controllers that both believe they own a deployment would each do half of it", checkRepeat},
		{RefusesGap, "a hole in the numbers means that somebody acted on a record that nobody can read", checkGap},
		{AllOrNone, "half of a decision is another decision", checkAllOrNone},
		{OneController, "write first, act second, only helps when nobody else acts", checkOneController},
		{GroupsApart, "groups deploy at the same time and may use the same deployment ids", checkGroupsApart},
		{AnyName, "group names and deployment ids come from people and other systems", checkAnyName},
		{Independent, "callers reuse their records; what was written must not change with them", checkIndependent},
		{ClosedIsClosed, "a write without the lock is a second controller", checkClosed},
		{Cancelled, "whoever cancels wants nothing more to happen", checkCancelled},
	}
}

func checkReadsBack(r *run) error {
	return r.with(group, func(log journal.Log) error {
		for n := int64(1); n <= 3; n++ {
			if err := r.appendAll(log, "d-1", n, n); err != nil {
				return err
			}
		}
		if err := r.appendAll(log, "d-1", 4, 9); err != nil {
			return err
		}
		if err := log.Append(r.ctx); err != nil {
			return fmt.Errorf("Append of nothing: %w", err)
		}
		return r.holds(log, "d-1", 1, 9)
	})
}

func checkReadsFrom(r *run) error {
	return r.with(group, func(log journal.Log) error {
		if err := r.appendAll(log, "d-1", 1, 5); err != nil {
			return err
		}
		for from := int64(1); from <= 6; from++ {
			if err := r.holds(log, "d-1", from, 5); err != nil {
				return fmt.Errorf("from %d: %w", from, err)
			}
		}
		for range log.Records(r.ctx, "d-1", 1) {
			break // leaving early is allowed
		}
		return r.appendAll(log, "d-1", 6, 6)
	})
}

func (r *run) reopen() error {
	if r.Reopen == nil {
		return nil
	}
	j, err := r.Reopen()
	if err != nil {
		return fmt.Errorf("Reopen: %w", err)
	}
	r.Journal = j
	return nil
}

func checkOutlives(r *run) error {
	last := int64(0)
	for range 3 {
		err := r.with(group, func(log journal.Log) error {
			if last > 0 {
				if err := r.holds(log, "d-1", 1, last); err != nil {
					return err
				}
			}
			last += 2
			return r.appendAll(log, "d-1", last-1, last)
		})
		if err != nil {
			return err
		}
		if err := r.reopen(); err != nil {
			return err
		}
	}
	return nil
}

func checkOldestFirst(r *run) error {
	want := []string{"d-9", "d-1", "d-5"}
	for i := range want {
		err := r.with(group, func(log journal.Log) error {
			if err := listed(r.ctx, log, want[:i]); err != nil {
				return err
			}
			if err := r.appendAll(log, want[i], 1, 2); err != nil {
				return err
			}
			if err := r.appendAll(log, want[0], 3+int64(i), 3+int64(i)); err != nil {
				return err // later records do not make a deployment younger
			}
			return listed(r.ctx, log, want[:i+1])
		})
		if err != nil {
			return err
		}
		if err := r.reopen(); err != nil {
			return err
		}
	}
	return nil
}

func checkNotFound(r *run) error {
	return r.with(group, func(log journal.Log) error {
		if err := r.appendAll(log, "d-1", 1, 1); err != nil {
			return err
		}
		return is(errorOf(r.ctx, log, "d-2"), journal.ErrNotFound)
	})
}

func checkOneController(r *run) error {
	first := r.Journal
	return r.with(group, func(journal.Log) error {
		if err := r.reopen(); err != nil {
			return err
		}
		for _, j := range []journal.Journal{first, r.Journal} {
			log, err := j.Open(r.ctx, group)
			if err == nil {
				_ = log.Close() // it should not be there at all
			}
			if err := is(err, journal.ErrLocked); err != nil {
				return fmt.Errorf("a second Open: %w", err)
			}
		}
		return r.with(group+"-2", func(journal.Log) error { return nil })
	})
}

func checkGroupsApart(r *run) error {
	for i, g := range []string{"a", "A", "a/", "a~"} {
		err := r.with(g, func(log journal.Log) error {
			if err := listed(r.ctx, log, nil); err != nil {
				return fmt.Errorf("new group %q: %w", g, err)
			}
			return r.appendAll(log, "d-1", 1, int64(i)+1)
		})
		if err != nil {
			return err
		}
	}
	return r.with("a", func(log journal.Log) error { return r.holds(log, "d-1", 1, 1) })
}

func checkAnyName(r *run) error {
	long := string(slices.Repeat([]byte("long"), 100))
	for _, name := range []string{"..", "../x", "a/b", "con", "", "-n", "Größe", "a b\n", "x\x00y", "lock", long, long + "2"} {
		err := r.with(name, func(log journal.Log) error {
			if name == "" {
				return nil // a deployment must have an id
			}
			if err := r.appendAll(log, name, 1, 2); err != nil {
				return err
			}
			return errors.Join(listed(r.ctx, log, []string{name}), r.holds(log, name, 1, 2))
		})
		if err != nil {
			return fmt.Errorf("name %.20q: %w", name, err)
		}
	}
	return nil
}

func checkIndependent(r *run) error {
	return r.with(group, func(log journal.Log) error {
		given := record("d-1", 1)
		if err := log.Append(r.ctx, given); err != nil {
			return err
		}
		scribble(&given)
		for got, err := range log.Records(r.ctx, "d-1", 1) {
			if err != nil {
				return err
			}
			scribble(&got)
		}
		return r.holds(log, "d-1", 1, 1)
	})
}

// scribble changes what a record points to.
func scribble(rec *lifecycle.Record) {
	if len(rec.Data) > 1 {
		rec.Data[1] = '!'
	}
	if rec.Failure != nil {
		rec.Failure.Message = "changed"
	}
}

func checkClosed(r *run) error {
	log, err := r.Journal.Open(r.ctx, group)
	if err != nil {
		return err
	}
	if err := r.appendAll(log, "d-1", 1, 1); err != nil {
		return err
	}
	for range 2 {
		if err := log.Close(); err != nil {
			return fmt.Errorf("Close: %w", err)
		}
	}
	if err := is(log.Append(r.ctx, record("d-1", 2)), journal.ErrClosed); err != nil {
		return fmt.Errorf("Append after Close: %w", err)
	}
	return r.with(group, func(second journal.Log) error {
		_ = log.Close() // a late Close must not give another one's lock back
		if third, err := r.Journal.Open(r.ctx, group); err == nil {
			_ = third.Close() // it should not be there at all
			return errors.New("closing a closed log unlocked the group for everybody")
		}
		return r.holds(second, "d-1", 1, 1)
	})
}

func checkCancelled(r *run) error {
	return r.with(group, func(log journal.Log) error {
		if err := r.appendAll(log, "d-1", 1, 1); err != nil {
			return err
		}
		why := errors.New("journaltest: cancelled")
		ctx, cancel := context.WithCancelCause(r.ctx)
		cancel(why)
		if err := is(log.Append(ctx, record("d-1", 2)), why); err != nil {
			return err
		}
		return r.holds(log, "d-1", 1, 1)
	})
}
