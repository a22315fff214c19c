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
	"github.com/cutover-deploy/cutover/revision"
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

	now     time.Time          // when the loop last looked at the clock
	pending []lifecycle.Record // folded, and not written yet
	events  []event            // room for what the pool tells
	// commands takes what other goroutines ask for; done is closed when nobody reads
	// it any more.
	commands chan command
	done     chan struct{}
	latch    *rollback.Latch // nil: no alarms are watched
	gates    gatekeeper
	joined   bool // units that came meanwhile have been looked for
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

// drive is the loop: ask Next, write, act, wait, and again, until the deployment
// has ended. It returns an error only if it had to abandon it. What happened and
// what follows from it is one write, made before anything is done about it.
func (r *runner) drive(ctx context.Context, st *strategy.State) error {
	stepCtx, cancel := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	var p *pool
	p = newPool(r.d.Parallel, func(j job) { r.perform(stepCtx, j, p) })
	defer func() { // whoever starts a goroutine waits for it
		cancel(errAbandoned)
		p.close()
		others.Wait()
	}()
	if r.latch != nil {
		others.Go(func() { r.poll(stepCtx, p) })
	}
	r.pending, r.joined = r.pending[:0], false

	start, again := st.Running(), true
	for {
		r.now = time.Now().UTC()
		if err := r.join(ctx, st); err != nil {
			return err
		}
		dec := strategy.Next(st, r.now)
		if question := r.gates.hold(&dec, len(r.d.Gates) > 0, r.now); question {
			q := Question{Plan: st.Plan(), Stage: st.Stage(), Now: r.now}
			others.Go(func() { a := ask(stepCtx, r.d.Gates, q); p.tell(event{gates: &a}) })
		}
		if !again {
			start = dec.Start
		}
		if err := r.add(st, dec.Note...); err != nil {
			return err
		}
		for _, s := range start {
			if err := r.add(st, lifecycle.Record{Kind: lifecycle.Started, Step: s}); err != nil {
				return err
			}
		}
		if dec.End != nil {
			return r.finish(ctx, st, dec.End)
		}
		if len(dec.Note) > 0 && len(start) == 0 {
			continue // more follows from what was noted
		}
		if err := r.flush(ctx, st); err != nil {
			return err
		}
		p.start(start, again)
		if again {
			again = false
			continue
		}
		if err := r.wait(ctx, st, dec.Wake, p); err != nil {
			return err
		}
	}
}

// join looks, once, for units that came while the deployment ran. They get the
// revision too, so that a group does not end with two.
func (r *runner) join(ctx context.Context, st *strategy.State) error {
	if r.joined || !st.Joins() {
		return nil
	}
	r.joined = true
	units, err := r.d.Target.Units(ctx)
	if err != nil {
		return r.add(st, noted(lifecycle.Step{}, lifecycle.Note{Code: lifecycle.TargetFailed,
			Text: "it is not known whether units have joined meanwhile: " + err.Error()}))
	}
	var news []lifecycle.Unit
	for _, u := range units {
		if u.Lost == "" && !st.Knows(u.ID) {
			u.Healthy, u.Revision = false, ""
			news = append(news, u)
		}
	}
	if len(news) == 0 {
		return nil
	}
	data, err := json.Marshal(news)
	if err != nil {
		return fmt.Errorf("writing the units that joined: %w", err)
	}
	return r.add(st, lifecycle.Record{Kind: lifecycle.Joined, Data: data})
}

var errAbandoned = errors.New("the deployment was abandoned")

// wait blocks until something happens, and takes in all that has happened by then.
func (r *runner) wait(ctx context.Context, st *strategy.State, wake time.Time, p *pool) error {
	var timer <-chan time.Time
	if !wake.IsZero() {
		t := time.NewTimer(time.Until(wake))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case c := <-r.commands:
		return r.obey(ctx, st, c)
	case <-p.wake:
		r.events = p.take(r.events)
	}
	r.now = time.Now().UTC()
	// A step that was cancelled has not ended, whatever it says.
	if ctx.Err() != nil {
		return fmt.Errorf("%s: abandoned, it can be resumed: %w", st.Plan().Deployment, context.Cause(ctx))
	}
	for _, e := range r.events {
		if err := r.hear(st, e); err != nil {
			return err
		}
	}
	r.events = r.events[:0]
	return nil
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

// hear takes in what an event means.
func (r *runner) hear(st *strategy.State, e event) error {
	switch {
	case e.alarms != nil:
		why := r.latch.Observe(e.alarms)
		if why == "" || st.Stop() != nil {
			return nil
		}
		return r.add(st, lifecycle.Record{Kind: lifecycle.Stopped, Data: stopData(strategy.Stop{Code: lifecycle.AlarmActive, Reason: why})})
	case e.gates != nil:
		if !r.gates.hear(*e.gates, r.now) {
			return nil
		}
		return r.add(st, noted(lifecycle.Step{Stage: st.Stage()}, lifecycle.Note{Text: e.gates.Reason}))
	case e.note != nil:
		return r.add(st, noted(e.step, *e.note))
	default:
		return r.add(st, lifecycle.Record{Kind: lifecycle.Ended, Step: e.step, Failure: failure(e.err)})
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
func (r *runner) poll(ctx context.Context, p *pool) {
	tick := time.NewTicker(r.d.Watch.Period())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if rs := r.d.Watch.Read(ctx); ctx.Err() == nil {
			p.tell(event{alarms: rs})
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
func (r *runner) perform(ctx context.Context, j job, p *pool) {
	step := j.step
	e := event{step: step}
	defer func() {
		if cause := recover(); cause != nil {
			e.err = &lifecycle.Error{Step: step, Failure: lifecycle.Failure{
				Code: lifecycle.Panicked, Message: fmt.Sprintf("the target panicked: %v", cause)}}
		}
		p.tell(e)
	}()
	note := func(n lifecycle.Note) { p.tell(event{step: step, note: &n}) }
	if step.Unit == "" {
		e.err = r.once(ctx, step, j.again, note)
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

// add folds records into the state and puts them on the list of what is to be
// written. Nothing may be done about them before flush.
func (r *runner) add(st *strategy.State, records ...lifecycle.Record) error {
	for _, rec := range records {
		if rec.Step.Deployment == "" {
			rec.Step.Deployment = st.Plan().Deployment
		}
		rec.Seq, rec.Time = st.Seq()+1, r.now
		if err := st.Apply(rec); err != nil {
			return fmt.Errorf("%s: %w", rec.Step.Deployment, err)
		}
		r.pending = append(r.pending, rec)
	}
	return nil
}

// flush makes what was added durable, in one write, and shows it. Nothing may be
// done that is not written, so any error ends the run.
func (r *runner) flush(ctx context.Context, st *strategy.State) error {
	if len(r.pending) == 0 {
		return nil
	}
	if err := r.log.Append(ctx, r.pending...); err != nil {
		return &lifecycle.Error{Step: lifecycle.Step{Deployment: st.Plan().Deployment}, Err: err, Failure: lifecycle.Failure{
			Code: lifecycle.JournalFailed, Message: "writing the journal: " + err.Error() + "; nothing more was started, resume when it can be written"}}
	}
	for _, rec := range r.pending {
		r.observe(rec)
	}
	r.pending = r.pending[:0]
	return nil
}

// append is add and flush.
func (r *runner) append(ctx context.Context, st *strategy.State, records ...lifecycle.Record) error {
	r.now = time.Now().UTC()
	if err := r.add(st, records...); err != nil {
		return err
	}
	return r.flush(ctx, st)
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
		ByTraffic: byTraffic(plan),
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
	r.gates = gatekeeper{off: true}
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
	if good == nil && byTraffic(st.Plan()) {
		good = &revision.Revision{} // whatever the originals run
	}
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
