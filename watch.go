package cutover

import (
	"context"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
)

// watch reads the alarms for the first time and refuses to start while one fires.
func (r *runner) watch(ctx context.Context) (err error) {
	w := r.d.Watch
	if len(w.Alarms) == 0 {
		return nil
	}
	r.alarms = w.Reader()
	if r.latch, err = rollback.NewLatch(w, r.alarms.Read(ctx)); err != nil {
		return &lifecycle.Error{Err: err, Failure: lifecycle.Failure{Code: lifecycle.AlarmActive, Message: err.Error()}}
	}
	return nil
}

// poll reads the alarms again and again, until ctx is cancelled.
func (r *runner) poll(ctx context.Context, p *pool) {
	tick := time.NewTicker(r.d.Watch.Period())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if rs := r.alarms.Read(ctx); ctx.Err() == nil {
			p.tell(event{news: rs})
		}
	}
}
