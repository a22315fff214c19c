package journaltest

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// refused appends records that must be refused, and sees that nothing changed.
func (r *run) refused(log journal.Log, records ...lifecycle.Record) error {
	err := log.Append(r.ctx, records...)
	if err := is(err, journal.ErrConflict); err != nil {
		return fmt.Errorf("append of record %d after 2: %w", records[0].Seq, err)
	}
	if err := r.holds(log, "d-1", 1, 2); err != nil {
		return fmt.Errorf("after a refused append: %w", err)
	}
	return nil
}

func checkRepeat(r *run) error {
	return r.with(group, func(log journal.Log) error {
		if err := r.appendAll(log, "d-1", 1, 2); err != nil {
			return err
		}
		for _, n := range []int64{1, 2, 0, -1} {
			if err := r.refused(log, record("d-1", n)); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkGap(r *run) error {
	return r.with(group, func(log journal.Log) error {
		if err := is(log.Append(r.ctx, record("d-2", 2)), journal.ErrConflict); err != nil {
			return fmt.Errorf("a deployment that begins with record 2: %w", err)
		}
		if err := r.appendAll(log, "d-1", 1, 2); err != nil {
			return err
		}
		return r.refused(log, record("d-1", 4))
	})
}

func checkAllOrNone(r *run) error {
	err := r.with(group, func(log journal.Log) error {
		if err := r.appendAll(log, "d-1", 1, 2); err != nil {
			return err
		}
		if err := r.refused(log, record("d-1", 3), record("d-1", 5)); err != nil {
			return err
		}
		if log.Append(r.ctx, record("d-1", 3), record("d-2", 4)) == nil {
			return errors.New("records of two deployments were taken in one append")
		}
		bad := record("d-1", 4)
		bad.Data = json.RawMessage("{")
		if log.Append(r.ctx, record("d-1", 3), bad) == nil {
			return errors.New("a record whose data is not JSON was taken")
		}
		return r.holds(log, "d-1", 1, 2)
	})
	if err != nil {
		return err
	}
	if err := r.reopen(); err != nil {
		return err
	}
	return r.with(group, func(log journal.Log) error { return r.holds(log, "d-1", 1, 2) })
}
