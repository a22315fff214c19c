package ecs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

var errCrash = errors.New("the controller died")

// A controller dies before and after every write of its journal; another one, which knows
// nothing but the journal, ends the deployment the same, and makes nothing twice. A function
// that was cut off may run again: that is all.
func TestKilledAtEveryWrite(t *testing.T) {
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, when := range []string{"before", "after"} {
				for n, more := 1, true; more; n += killtest.Every(1, 5) {
					t.Run(fmt.Sprintf("%s write %d", when, n), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { more = killedAt(t, sc, when, n) })
					})
				}
			}
		})
	}
}

// killedAt runs a scenario whose controller dies at a write, and reports whether there was
// that write.
func killedAt(t *testing.T, sc scenario, when string, n int) (died bool) {
	w := newWorld(t)
	ctx, stop := context.WithTimeoutCause(t.Context(), 48*time.Hour, errors.New("it never ends"))
	defer stop()
	res, err := sc.prepare(ctx, w, killtest.Journal(&w.log, when, n, func() error { return errCrash })).Run(ctx)
	if died = errors.Is(err, errCrash); died {
		time.Sleep(3 * time.Minute) // until somebody notices
		res, err = makeSure(ctx, w, sc)
	}
	require.NoError(t, err)
	sc.ends(w, res)
	made := w.fake.Made()
	require.LessOrEqual(t, len(slices.DeleteFunc(made, func(id string) bool { return id != "d-2" })), 1)
	return died
}

// makeSure is resumed for a scenario. Who watched the first controller tells the next one what it saw.
func makeSure(ctx context.Context, w *world, sc scenario) (*cutover.Result, error) {
	d := sc.prepare(ctx, w, &w.log)
	var old []lifecycle.Record
	for rec, err := range w.log.Reader("web").Records(ctx, "d-2", 1) {
		if err == nil {
			old = append(old, rec)
		}
	}
	stopped := func(r lifecycle.Record) bool { return r.Kind == lifecycle.Stopped || r.Kind == lifecycle.Finished }
	if d.Observe != nil && !slices.ContainsFunc(old, stopped) {
		for _, rec := range old {
			defer time.AfterFunc(time.Second, func() { d.Observe(rec) }).Stop()
		}
	}
	return resumed(ctx, d)
}

// resumed resumes what is unfinished, says how it ended if it has, and runs it if it never
// began.
func resumed(ctx context.Context, d *cutover.Deployment) (*cutover.Result, error) {
	res, err := d.Resume(ctx, "")
	if errors.Is(err, cutover.ErrNothingToResume) {
		res, err = d.Resume(ctx, "d-2")
	}
	if errors.Is(err, journal.ErrNotFound) {
		res, err = d.Run(ctx)
	}
	return res, err
}
