package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// errHeld says that another process, or another Agent of this one, has the lock.
var errHeld = errors.New("lock is held")

// lock makes the caller the only one that works on this host. The file holds the
// step being done, so that whoever waits can say for whom, and whoever comes after
// a crash knows what was left unfinished: dead is that step, or nil. The lock
// itself dies with its process.
func (a *Agent) lock(ctx context.Context, step lifecycle.Step) (unlock func(), dead *lifecycle.Step, err error) {
	path := filepath.Join(a.dir(), lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the lock of the state directory: %w", err)
	}
	if err := a.waitLock(ctx, f, step); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	dead = holder(f)
	err = errors.Join(f.Truncate(0), claim(f, step))
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("cannot write the lock of the state directory: %w", err)
	}
	return func() { _ = errors.Join(f.Truncate(0), f.Close()) }, dead, nil
}

func (a *Agent) waitLock(ctx context.Context, f *os.File, step lifecycle.Step) error {
	bound := time.NewTimer(a.wait())
	defer bound.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := tryLock(f)
		if !errors.Is(err, errHeld) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-bound.C:
			return fail(step, lifecycle.UnitBusy, "another deployment works on this host (%s) and did not end within %s; try again when it has ended", busyWith(f), a.wait())
		case <-tick.C:
		}
	}
}

// holder reads the step in the file; nil: none, or torn by a crash before anything
// was begun.
func holder(f *os.File) *lifecycle.Step {
	var s lifecycle.Step
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<10))
	if err != nil || json.Unmarshal(data, &s) != nil {
		return nil
	}
	return &s
}

func claim(f *os.File, step lifecycle.Step) error {
	data, err := json.Marshal(step)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err
}

func busyWith(f *os.File) string {
	if s := holder(f); s != nil {
		return s.String()
	}
	return "another one"
}
