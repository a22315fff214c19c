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

	now     time.Time          // when the loop last looked at the clock
	pending []lifecycle.Record // folded, and not written yet
	events  []event            // room for what the pool tells
	todo    []job              // room for what the pool is given
	waiting waiting            // steps that wait for the world outside
	// commands takes what other goroutines ask for; done is closed when nobody reads
	// it any more.
	commands chan command
	done     chan struct{}
	latch    *rollback.Latch  // nil: no alarms are watched
	alarms   *rollback.Reader // nil with latch
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
	step    lifecycle.Step
	err     error
	foreign target.Foreign // what the step was to do about foreign changes
	// news is what it is about: a lifecycle.Note about the step, the []rollback.Reading
	// of the alarms, the Answer of the gates. Else the step has ended; if it was to
	// provision, with the []lifecycle.Unit that it made.
	news any
}

// drive is the loop: ask Next, write, act, wait, and again, until the deployment
// has ended. It returns an error only if it had to abandon it. What happened and
// what follows from it is one write, made before anything is done about it.
func (r *runner) drive(ctx context.Context, st *strategy.State) error {
	stepCtx, cancel := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	var p *pool
	p = newPool(r.d.Parallel, func(j job) event { return r.perform(stepCtx, j, p) })
	defer func() { // whoever starts a goroutine waits for it
		cancel(errAbandoned)
		p.close()
		others.Wait()
	}()
	if r.latch != nil {
		others.Go(func() { r.poll(stepCtx, p) })
	}
	r.pending, r.joined, r.waiting = r.pending[:0], false, nil

	start, again := st.Running(), true
	for {
		r.now = time.Now().UTC()
		if err := r.join(ctx, st); err != nil {
			return err
		}
		if err := r.giveUp(st); err != nil {
			return err
		}
		dec := strategy.Next(st, r.now)
		if question := r.gates.hold(&dec, len(r.d.Gates) > 0 && !st.CleansUp(), r.now); question {
			q := Question{Plan: st.Plan(), Stage: st.Stage(), Now: r.now}
			others.Go(func() { a := ask(stepCtx, r.d.Gates, q); p.tell(event{news: a}) })
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
		p.start(r.jobs(st, start, again))
		if again {
			again = false
			continue
		}
		p.start(r.jobs(st, r.waiting.due(r.now), false))
		if err := r.wait(ctx, st, r.waiting.wake(dec.Wake), p); err != nil {
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
	var units []lifecycle.Unit
	err := guard("listing the units", func() (err error) {
		units, err = r.d.Target.Units(ctx)
		return err
	})
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
		if len(r.waiting) > 0 && st.Stop() == nil {
			r.now = time.Now().UTC()
			err := r.release(ctx, st, cmp.Or(c.reason, "no reason given"))
			c.reply <- err
			return err
		}
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
	switch news := e.news.(type) {
	case []rollback.Reading:
		why := r.latch.Observe(news)
		if why == "" || st.Stop() != nil {
			return nil
		}
		return r.add(st, lifecycle.Record{Kind: lifecycle.Stopped, Data: stopData(strategy.Stop{Code: lifecycle.AlarmActive, Reason: why})})
	case Answer:
		if !r.gates.hear(news, r.now) {
			return nil
		}
		return r.add(st, noted(lifecycle.Step{Stage: st.Stage()}, lifecycle.Note{Text: news.Reason}))
	case lifecycle.Note:
		return r.add(st, noted(e.step, news))
	default:
		return r.ended(st, e)
	}
}

// ended takes in how a step ended, or that it waits.
func (r *runner) ended(st *strategy.State, e event) error {
	if e.step.Event == lifecycle.Provision {
		rec, err := made(st, e)
		if err != nil {
			return err
		}
		return r.add(st, rec)
	}
	f := failure(e.err)
	if hint := r.waits(st, e, f); hint != "" {
		again := r.now.Add(askAgain)
		if st.Continued(e.step.Unit) { // it was asked for before that was known
			again = r.now
		}
		if note := r.waiting.hear(e.step, f, hint, again); note != nil {
			return r.add(st, noted(e.step, *note))
		}
		return nil
	}
	if len(r.waiting) > 0 {
		delete(r.waiting, e.step)
	}
	return r.add(st, lifecycle.Record{Kind: lifecycle.Ended, Step: e.step, Failure: f})
}

func noted(step lifecycle.Step, n lifecycle.Note) lifecycle.Record {
	data, _ := json.Marshal(n) // plain fields always marshal
	return lifecycle.Record{Kind: lifecycle.Noted, Step: step, Data: data}
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
