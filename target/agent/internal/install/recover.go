package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// recoverState finishes or undoes what the undo log in state tells of.
func recoverState(ctx context.Context, state string, seam func(string) error) (Recovered, error) {
	if ctx.Err() != nil {
		return Recovered{}, context.Cause(ctx)
	}
	log, err := readUndo(filepath.Join(state, undoName))
	if errors.Is(err, fs.ErrNotExist) {
		return Recovered{Outcome: Clean}, nil
	}
	if err != nil {
		return Recovered{}, fmt.Errorf("recovering an install that was cut off: %w", err)
	}
	t := &txn{state: state, log: log, seam: seam, tools: &labeller{semanage: log.Semanage, restorecon: log.Restorecon}}
	r := Recovered{Outcome: Completed, Deployment: log.Deployment}
	owned, err := readOwned(state)
	if err != nil {
		return r, fmt.Errorf("recovering an install that was cut off: %w", err)
	}
	if owned.head.Txn == log.Txn {
		t.books = owned
		err = t.finish()
	} else {
		r.Outcome = RolledBack
		// Without a whole list for this very install nothing had been moved yet.
		if next, nerr := readBooks(filepath.Join(state, nextName)); nerr == nil && next.head.Txn == log.Txn {
			t.books = next
		}
		err = t.rollBack()
	}
	if err != nil {
		return r, fmt.Errorf("recovering the install of deployment %s: %w", log.Deployment, err)
	}
	return r, nil
}
