package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// work is one step being done.
type work struct {
	a    *Agent
	step lifecycle.Step
	job  *target.Job
	note func(lifecycle.Note)
	show io.Writer // takes the output of scripts besides the log; nil: nobody looks
	dir  string    // of the deployment: GROUP/DEPLOYMENT

	bring bringer // nil: the revision comes with the job or is retained

	mu  sync.Mutex
	out *outcome
}

func newWork(a *Agent, t target.Task, o *outcome) *work {
	return &work{
		a: a, step: t.Step, job: t.Job, note: t.Note, show: t.Output, out: o,
		dir: filepath.Join(a.dir(), part(t.Job.Group), part(t.Step.Deployment)),
	}
}

// doers are the events that the agent does itself. Every other one runs scripts.
var doers = map[lifecycle.Event]func(*work, context.Context) error{
	lifecycle.Start:                 (*work).prepare,
	lifecycle.DownloadBundle:        (*work).download,
	lifecycle.Install:               (*work).install,
	lifecycle.BlockTraffic:          (*work).refuse,
	lifecycle.AllowTraffic:          (*work).refuse,
	lifecycle.AllowTestTraffic:      (*work).refuse,
	lifecycle.AfterAllowTestTraffic: (*work).refuse,
	lifecycle.Retire:                (*work).refuse,
}

func (w *work) do(ctx context.Context) error {
	if err := w.makeDir(); err != nil {
		return w.fail(lifecycle.TargetFailed, "the folder of the deployment cannot be made: %w", err)
	}
	if do, ok := doers[w.step.Event]; ok {
		return do(w, ctx)
	}
	return w.scripts(ctx)
}

func (w *work) refuse(context.Context) error {
	return w.fail(lifecycle.Unsupported, "%s is not done by the agent of a host: give the fleet something that does it", w.step.Event)
}

func (w *work) makeDir() error {
	for _, dir := range []string{filepath.Dir(w.dir), w.dir} {
		if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// tell passes a note on and keeps it for those who ask again.
func (w *work) tell(n lifecycle.Note) {
	if w.note != nil {
		w.note(n)
	}
}

func (w *work) warn(code lifecycle.Code, format string, args ...any) {
	n := lifecycle.Note{Code: code, Text: fmt.Sprintf(format, args...)}
	w.mu.Lock()
	w.out.Notes = append(w.out.Notes, n)
	w.mu.Unlock()
	w.tell(n)
}

func (w *work) fail(code lifecycle.Code, format string, args ...any) *lifecycle.Error {
	return fail(w.step, code, format, args...)
}

// end records the outcome of the step and returns it.
func (w *work) end(err error) error {
	err = asError(w.step, err)
	var e *lifecycle.Error
	if errors.As(err, &e) && stopping[w.step.Event] {
		err = w.endStop(e)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Ended, w.out.Running = true, ""
	if w.out.Printed != nil {
		w.out.Printed.To = w.logSize()
	}
	if errors.As(err, &e) {
		w.out.Failure = &e.Failure
	}
	if lost := w.a.remember(w.step, w.out); lost != nil {
		return lost
	}
	return err
}

// stopping are the events of the installed revision. If they fail, the fault is
// usually in what is being replaced, so there is a way past them.
var stopping = map[lifecycle.Event]bool{
	lifecycle.BeforeBlockTraffic: true,
	lifecycle.AfterBlockTraffic:  true,
	lifecycle.ApplicationStop:    true,
}

func (w *work) endStop(e *lifecycle.Error) error {
	if w.job.IgnoreStopFailures {
		w.warn(e.Code, "ignored, as the deployment says (IgnoreStopFailures): %s", e.Error())
		return nil
	}
	e.Message += "; to deploy without " + string(w.step.Event) + " of the installed revision, set IgnoreStopFailures"
	return e
}

// endLeftovers ends what is left running of the script in the middle of which the
// process died that did the step. What finished scripts have left running, such as
// the service that they started, stays.
func (w *work) endLeftovers(ctx context.Context, dead lifecycle.Step) error {
	o, err := w.a.recall(dead)
	if err != nil {
		w.warn(lifecycle.Unknown, "what step %s had left running when the agent died is not known: %v", dead, err)
		return nil
	}
	if o.Running == "" {
		return nil
	}
	n, err := lifecycle.EndLeftovers(ctx, w.a.env(dead, o.Done))
	if n > 0 {
		w.warn(lifecycle.Interrupted, "%d processes were ended that script %s of %s had left when the agent died", n, o.Running, dead)
	}
	return err
}
