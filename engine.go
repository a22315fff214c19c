package cutover

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// runner carries out deployments of one group while it holds the group's journal.
// One goroutine, the caller's, owns it and the state it drives.
type runner struct {
	d    *Deployment
	log  journal.Log    // nil: only planning
	read journal.Reader // the same log, or one that holds no lock
	job  *target.Job
	work []string
	// commands takes what other goroutines ask for; done is closed when nobody reads
	// it any more.
	commands chan command
	done     chan struct{}
	latch    *rollback.Latch // nil: no alarms are watched
	gates    gatekeeper
}

// command is something that somebody asks of a running deployment.
type command struct {
	stop   *StopOptions // nil: continue
	reason string
	reply  chan error // has room for one
}

// event is what another goroutine tells the loop: that a step ended, a note about
// it, or what the alarms say.
type event struct {
	step   lifecycle.Step
	note   *lifecycle.Note
	err    error
	alarms []rollback.Reading
	gates  *Answer
}

// drive is the loop: ask Next, write, act, wait, write, again, until the
// deployment has ended. It returns an error only if it had to abandon it.
func (r *runner) drive(ctx context.Context, st *strategy.State) error {
	stepCtx, cancel := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	events := make(chan event)
	defer func() { // abandon: whoever starts a goroutine waits for it
		cancel(errAbandoned)
		go func() { others.Wait(); close(events) }()
		for range events {
		}
	}()
	if r.latch != nil {
		others.Go(func() { r.poll(stepCtx, events) })
	}

	again := st.Running()
	if err := r.append(ctx, st, started(again)...); err != nil {
		return err
	}
	for _, step := range again {
		others.Go(func() { r.perform(stepCtx, step, true, events) })
	}
	for {
		dec := strategy.Next(st, time.Now())
		if question := r.gates.hold(&dec, len(r.d.Gates) > 0, time.Now()); question {
			q := Question{Plan: st.Plan(), Stage: st.Stage(), Now: time.Now()}
			others.Go(func() { a := ask(stepCtx, r.d.Gates, q); events <- event{gates: &a} })
		}
		if err := r.append(ctx, st, append(dec.Note, started(dec.Start)...)...); err != nil {
			return err
		}
		for _, step := range dec.Start {
			others.Go(func() { r.perform(stepCtx, step, false, events) })
		}
		switch {
		case dec.End != nil:
			return r.finish(ctx, st, dec.End)
		case len(dec.Note) > 0 && len(dec.Start) == 0:
			continue
		}
		if err := r.wait(ctx, st, dec.Wake, events); err != nil {
			return err
		}
	}
}

var errAbandoned = errors.New("the deployment was abandoned")

// started are the records to write before steps are done.
func started(steps []lifecycle.Step) []lifecycle.Record {
	records := make([]lifecycle.Record, len(steps))
	for i, s := range steps {
		records[i] = lifecycle.Record{Kind: lifecycle.Started, Step: s}
	}
	return records
}

// wait blocks until something happens and writes it down. All that has happened by
// then is written at once: one write for many.
func (r *runner) wait(ctx context.Context, st *strategy.State, wake time.Time, events <-chan event) error {
	var timer <-chan time.Time
	if !wake.IsZero() {
		t := time.NewTimer(time.Until(wake))
		defer t.Stop()
		timer = t.C
	}
	var records []lifecycle.Record
	select {
	case <-ctx.Done():
	case <-timer:
	case c := <-r.commands:
		return r.obey(ctx, st, c)
	case e := <-events:
		records = r.record(records, st, e)
	}
	for {
		select {
		case e := <-events:
			records = r.record(records, st, e)
			continue
		default:
		}
		// A step that was cancelled has not ended, whatever it says.
		if ctx.Err() != nil {
			return fmt.Errorf("%s: abandoned, it can be resumed: %w", st.Plan().Deployment, context.Cause(ctx))
		}
		return r.append(ctx, st, records...)
	}
}

// obey writes a command down, and answers once it is durable.
func (r *runner) obey(ctx context.Context, st *strategy.State, c command) error {
	rec := lifecycle.Record{Kind: lifecycle.Stopped}
	if c.stop != nil {
		rec.Data = stopData(strategy.Stop{Code: lifecycle.ManualStop, Reason: cmp.Or(c.stop.Reason, "no reason given"), Rollback: c.stop.Rollback})
	} else {
		hold, _ := st.Hold()
		if hold.Name == "" || st.Stop() != nil {
			c.reply <- ErrNoHold
			return nil
		}
		rec = noted(lifecycle.Step{}, lifecycle.Note{Text: "continued: " + cmp.Or(c.reason, "no reason given")})
		rec.Kind, rec.Step.Stage = lifecycle.Released, st.Stage()
	}
	err := r.append(ctx, st, rec)
	c.reply <- err
	return err
}

func stopData(s strategy.Stop) json.RawMessage {
	data, _ := json.Marshal(s) // plain fields always marshal
	return data
}

// record adds what an event means to records.
func (r *runner) record(records []lifecycle.Record, st *strategy.State, e event) []lifecycle.Record {
	switch {
	case e.alarms != nil:
		why := r.latch.Observe(e.alarms)
		if why == "" || st.Stop() != nil {
			return records
		}
		return append(records, lifecycle.Record{Kind: lifecycle.Stopped, Data: stopData(strategy.Stop{Code: lifecycle.AlarmActive, Reason: why})})
	case e.gates != nil:
		if r.gates.hear(*e.gates, time.Now()) {
			return append(records, noted(lifecycle.Step{Stage: st.Stage()}, lifecycle.Note{Text: e.gates.Reason}))
		}
		return records
	case e.note != nil:
		return append(records, noted(e.step, *e.note))
	default:
		return append(records, lifecycle.Record{Kind: lifecycle.Ended, Step: e.step, Failure: failure(e.err)})
	}
}

// watch reads the alarms for the first time and refuses to start while one fires.
func (r *runner) watch(ctx context.Context) (err error) {
	w := r.d.Watch
	if len(w.Alarms) == 0 {
		return nil
	}
	if r.latch, err = rollback.NewLatch(w, w.Read(ctx)); err != nil {
		return &lifecycle.Error{Err: err, Failure: lifecycle.Failure{Code: lifecycle.AlarmActive, Message: err.Error()}}
	}
	return nil
}

// poll reads the alarms again and again, until ctx is cancelled.
func (r *runner) poll(ctx context.Context, events chan<- event) {
	tick := time.NewTicker(r.d.Watch.Period())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if rs := r.d.Watch.Read(ctx); ctx.Err() == nil {
			events <- event{alarms: rs}
		}
	}
}

func noted(step lifecycle.Step, n lifecycle.Note) lifecycle.Record {
	data, _ := json.Marshal(n) // plain fields always marshal
	return lifecycle.Record{Kind: lifecycle.Noted, Step: step, Data: data}
}

// failure is an error in the form that is recorded; nil for nil.
func failure(err error) *lifecycle.Failure {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*lifecycle.Error](err); ok {
		f := e.Failure
		return &f
	}
	return &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: err.Error()}
}

// perform does one step and reports. A driver that panics has failed the step.
func (r *runner) perform(ctx context.Context, step lifecycle.Step, again bool, events chan<- event) {
	e := event{step: step}
	defer func() {
		if p := recover(); p != nil {
			e.err = &lifecycle.Error{Step: step, Failure: lifecycle.Failure{
				Code: lifecycle.Panicked, Message: fmt.Sprintf("the target panicked: %v", p)}}
		}
		events <- e
	}()
	note := func(n lifecycle.Note) { events <- event{step: step, note: &n} }
	if step.Unit == "" {
		e.err = r.once(ctx, step, again, note)
		return
	}
	limit := r.d.EventTimeouts[step.Event]
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errTooLong)
		defer cancel()
	}
	e.err = r.insist(ctx, target.Task{Step: step, Job: r.job, Note: note})
	if e.err != nil && context.Cause(ctx) == errTooLong {
		e.err = &lifecycle.Error{Step: step, Err: errTooLong, Failure: lifecycle.Failure{Code: lifecycle.TimedOut,
			Message: fmt.Sprintf("has not ended within %s (EventTimeouts); what it was doing may still run", limit)}}
	}
}

var errTooLong = errors.New("the event took too long")

// patience is how long to wait before asking again when nobody could say whether a
// step was done. Its doer keeps the outcome, so asking again does nothing twice.
var patience = [...]time.Duration{time.Second, 5 * time.Second, 25 * time.Second}

// insist performs a task, and asks again while the answer is Unknown.
func (r *runner) insist(ctx context.Context, t target.Task) error {
	for _, pause := range patience {
		err := r.d.Target.Perform(ctx, t)
		if e, ok := errors.AsType[*lifecycle.Error](err); !ok || e.Code != lifecycle.Unknown {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return r.d.Target.Perform(ctx, t)
}

// once runs the caller's own hook for an event of the whole deployment.
func (r *runner) once(ctx context.Context, step lifecycle.Step, again bool, note func(lifecycle.Note)) error {
	hook := map[lifecycle.Event]lifecycle.Hook{
		lifecycle.BeforeDeployment: r.d.Before, lifecycle.AfterDeployment: r.d.After, lifecycle.BeforeRollback: r.d.OnRollback,
	}[step.Event]
	switch {
	case again && !r.d.RerunInterrupted:
		return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: lifecycle.Interrupted,
			Message: "was cut off in the middle, and nobody can say how far it came; set RerunInterrupted to run it again"}}
	case hook == nil:
		return &lifecycle.Error{Step: step, Failure: lifecycle.Failure{Code: lifecycle.HookFailed,
			Message: "the plan has this hook and the Deployment that resumes it has not; fill it in"}}
	}
	run := lifecycle.Runner{Note: note}
	return run.Run(ctx, lifecycle.Env{Step: step}, []lifecycle.Hook{hook})
}

// append numbers records, makes them durable, folds them and shows them. Nothing
// may be done that is not written, so any error ends the run.
func (r *runner) append(ctx context.Context, st *strategy.State, records ...lifecycle.Record) error {
	if len(records) == 0 {
		return nil
	}
	id := st.Plan().Deployment
	if id == "" {
		id = records[0].Step.Deployment
	}
	now := time.Now().UTC()
	for i := range records {
		records[i].Seq, records[i].Time = st.Seq()+int64(i)+1, now
		records[i].Step.Deployment = id
	}
	if err := r.log.Append(ctx, records...); err != nil {
		return &lifecycle.Error{Step: lifecycle.Step{Deployment: id}, Err: err, Failure: lifecycle.Failure{
			Code: lifecycle.JournalFailed, Message: "writing the journal: " + err.Error() + "; nothing more was started, resume when it can be written"}}
	}
	for _, rec := range records {
		if err := st.Apply(rec); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		r.observe(rec)
	}
	return nil
}

func (r *runner) observe(rec lifecycle.Record) {
	if r.d.Observe == nil {
		return
	}
	defer func() { _ = recover() }() // an observer must not end a deployment
	r.d.Observe(rec)
}

// finish decides on a rollback and writes the last record. The rollback's id is in
// it, so that a crash right after it does not lose the decision.
func (r *runner) finish(ctx context.Context, st *strategy.State, end *strategy.End) error {
	out := strategy.Outcome{Verdict: end.Verdict}
	here := lifecycle.Step{Deployment: st.Plan().Deployment}
	var records []lifecycle.Record
	if end.Verdict != strategy.DeploymentSucceeded {
		to, note := r.policy(st).Decide(ending(st, end.Verdict))
		switch {
		case to != nil:
			out.Rollback = newID()
			if _, err := r.planRollback(ctx, st, out.Rollback); refused(err) {
				out.Rollback = ""
				records = append(records, noted(here, lifecycle.Note{Code: lifecycle.RollbackFailed, Text: "cannot be rolled back: " + err.Error()}))
			}
		case note != nil:
			records = append(records, noted(here, *note))
		}
	}
	data, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("%s: writing the outcome: %w", here.Deployment, err)
	}
	records = append(records, lifecycle.Record{Kind: lifecycle.Finished, Step: here, Failure: end.Failure, Data: data})
	return r.append(ctx, st, records...)
}

func (r *runner) policy(st *strategy.State) rollback.Policy {
	p := r.d.Rollback
	if stop := st.Stop(); stop != nil {
		p.OnStop = p.OnStop || stop.Rollback
	}
	return p
}

func ending(st *strategy.State, v strategy.Verdict) rollback.Ending {
	plan := st.Plan()
	stop := st.Stop()
	return rollback.Ending{
		Stopped: v == strategy.DeploymentStopped, Alarm: stop != nil && stop.Code == lifecycle.AlarmActive, IsRollback: plan.RollbackOf != "",
		Revision: plan.Revision, LastGood: plan.LastGood, Touched: len(st.Touched()),
	}
}

// conclude turns a deployment that has ended into its result, and carries out the
// rollback that it was promised, as far as that has not been done.
func (r *runner) conclude(ctx context.Context, st *strategy.State) (*Result, error) {
	res := newResult(st)
	out, _ := st.Outcome()
	if out.Rollback == "" {
		return res, nil
	}
	r.latch = nil // what the alarms say of the bad revision must not stop the way back
	back, err := r.load(ctx, out.Rollback)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		back, err = r.beginRollback(ctx, st, out.Rollback)
	case err == nil:
		err = r.reopen(ctx, back)
	}
	if err == nil {
		if o, _ := back.Outcome(); o == nil {
			err = r.drive(ctx, back)
		}
	}
	if err != nil {
		return res, fmt.Errorf("rolling back %s: %w", st.Plan().Deployment, err)
	}
	res.Rollback = newResult(back)
	return res, nil
}

// refused reports whether planning ended with a decision, not with an accident.
func refused(err error) bool {
	_, ok := errors.AsType[*lifecycle.Error](err)
	return ok
}

// planRollback plans the rollback of st as deployment id.
func (r *runner) planRollback(ctx context.Context, st *strategy.State, id string) (strategy.Plan, error) {
	good := st.Plan().LastGood
	if good == nil {
		return strategy.Plan{}, errors.New("the journal promises a rollback and names no revision to go back to")
	}
	return r.plan(ctx, strategy.Input{
		Deployment: id, Revision: *good, Overrides: r.d.overrides(),
		RollbackOf: st.Plan().Deployment, Touched: st.Touched(), First: r.onRollback(),
	}, st.Standing())
}

// beginRollback writes down that the rollback of st begins, as deployment id.
func (r *runner) beginRollback(ctx context.Context, st *strategy.State, id string) (*strategy.State, error) {
	plan, err := r.planRollback(ctx, st, id)
	if err != nil {
		return nil, err
	}
	back := &strategy.State{}
	if err := r.begin(ctx, back, plan, nil); err != nil {
		return nil, err
	}
	return back, r.reopen(ctx, back)
}

func (r *runner) onRollback() lifecycle.Event {
	if r.d.OnRollback == nil {
		return ""
	}
	return lifecycle.BeforeRollback
}
