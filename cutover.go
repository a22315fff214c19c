package cutover

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// Errors that callers act on.
var (
	// ErrUnfinished: the group's last deployment has not ended. Resume it first.
	ErrUnfinished = errors.New("the group's last deployment has not ended")
	// ErrExists: the group has had a deployment of that id. Nothing was done.
	ErrExists = errors.New("the group has a deployment of that id")
	// ErrNothingToResume: the group has no unfinished deployment.
	ErrNothingToResume = errors.New("the group has no unfinished deployment")
	// ErrNotRunning: Stop or Continue was called while nothing ran.
	ErrNotRunning = errors.New("no deployment is running")
	// ErrNoHold: Continue was called while the deployment waited for nobody.
	ErrNoHold = errors.New("the deployment is in no hold that could be continued")
)

// Deployment deploys a revision to a group of units. Fill in the fields and call
// [Deployment.Run]. The fields must not change while it runs. One Deployment runs
// one deployment at a time; [Deployment.Stop] and [Deployment.Continue]
// may be called from any goroutine.
type Deployment struct {
	Application string // CodeDeploy's application name, for the scripts' environment; empty: none
	Group       string // deployment group id; names the history. Required
	GroupName   string // deployment group name, for the scripts' environment; empty: Group
	ID          string // deployment id; empty: a new one, like CodeDeploy's

	Revision revision.Source // what to deploy. Required for Run; for Resume, empty: as recorded
	// Sources open what the records name, for Resume and for rollbacks: sources with
	// the clients that their kinds need, such as s3.Object{Client: c}. Revision itself
	// counts as one of them. Empty: directories, archives and inline AppSpecs.
	Sources  []revision.Opener
	Target   target.Target     // where to. Required
	Strategy strategy.Strategy // nil: strategy.OneAtATime, CodeDeploy's default
	Rollback rollback.Policy   // zero: never by itself
	Journal  journal.Journal   // nil: a memory of this Deployment's own, gone with it

	AppSpec    string   // path of the AppSpec in the revision; empty: appspec.yml, else appspec.yaml
	FileExists string   // DISALLOW, OVERWRITE or RETAIN; empty: DISALLOW. The AppSpec's own setting wins
	Env        []string // added to the environment of scripts, "NAME=value"

	// IgnoreStopFailures lets failures of ApplicationStop, BeforeBlockTraffic and
	// AfterBlockTraffic pass (CodeDeploy: ignoreApplicationStopFailures).
	IgnoreStopFailures bool
	// RerunInterrupted does a step again that a crash cut off. Zero: such a step
	// has failed, since nobody can say how far its scripts came.
	RerunInterrupted bool
	// Strict refuses what CodeDeploy silently ignores.
	Strict bool
	// Supersede ends the group's unfinished deployment, if there is one, and starts
	// from what that left. Nobody may be driving it. Where that is divided traffic, the
	// new one begins only if OnForeignChange is to overwrite. Zero: ErrUnfinished.
	Supersede bool
	// OutdatedOnly leaves healthy units alone that have the revision already
	// (CodeDeploy: updateOutdatedInstancesOnly). So a failed deployment can be
	// retried on what failed.
	OutdatedOnly bool

	// AllowQuarantined deploys a revision although it was rolled back in this group
	// before and has not succeeded since. Zero: refused, with code Quarantined.
	AllowQuarantined bool
	// LostBudget is how many units may be out of reach (code UnitLost) without
	// counting as failed; each takes one off the minimum healthy. Zero: none.
	LostBudget int

	// Parallel is how many steps are done at once, over all units; others wait for
	// their turn. Zero: DefaultParallel.
	Parallel int

	// OnForeignChange is what to do about traffic that somebody else has changed since
	// the deployment last set it, where the target can tell. Zero: hold, until it is put
	// back or somebody says Continue or Stop. With overwrite a deployment also begins
	// whoever has the traffic. A rollback always sets what it needs.
	OnForeignChange target.Foreign

	// Gates are asked before each stage, but those of a rollback. None: nothing is.
	Gates []Gate
	// Before, After and OnRollback run once per deployment, in this process: before
	// the first unit is touched, after the last stage, and before a rollback touches
	// its first unit. One that fails fails the deployment. After a crash in the
	// middle of one it has failed, unless RerunInterrupted. Nil: nothing runs.
	Before, After, OnRollback lifecycle.Hook

	// Timeout is how long the deployment may take in all. When it is over nothing
	// new is started, and it has failed. Zero: no limit.
	Timeout time.Duration
	// EventTimeouts limits single events, by name. A unit that exceeds one has
	// failed; what it was doing may still run. Zero, or not named: no limit but those
	// of the scripts.
	EventTimeouts map[lifecycle.Event]time.Duration
	// Watch watches alarms. One that fires stops the deployment.
	Watch rollback.Watch

	// WorkDir is where archives are unpacked, in a directory of their own that is
	// removed at the end; empty: the system's directory for temporary files.
	WorkDir string

	// Observe, if not nil, sees every record once it is durable, in order. It is
	// called by one goroutine and holds the deployment up until it returns. A
	// panic in it is dropped.
	Observe func(lifecycle.Record)
	// Output, if not nil, says where the output of a step's scripts goes while they run:
	// raw, for people who watch; what a step returns nil for goes nowhere. It is called
	// from many goroutines, once for each time that a step is asked for. Which output
	// there is depends on the target, see [target.Task]. A panic in it is dropped.
	//
	// A writer that is slow holds nothing up: 1 MiB waits for it, what comes beyond that
	// is left out, and at a step's end it has 2 s to take the rest. It gets one Write at
	// a time, and none begins after the step's end. An error or panic of it ends its part.
	Output func(lifecycle.Step) io.Writer

	mu      sync.Mutex
	memory  journal.Memory
	running *runner // nil: nothing runs
}

// StopOptions say how a deployment is stopped.
type StopOptions struct {
	Reason   string // for the records; empty: none given
	Rollback bool   // roll back what was touched, whatever the policy says
}

// Plan makes the plan that Run would carry out now, and touches nothing: no
// record is written, no unit is asked for more than its presence, and the target
// for how things stand. It fails where Run would refuse to start.
func (d *Deployment) Plan(ctx context.Context) (strategy.Plan, error) {
	var plan strategy.Plan
	look := func(ctx context.Context, r *runner) error {
		return guard("planning", func() (err error) {
			plan, _, err = r.prepare(ctx)
			return err
		})
	}
	if err := d.valid(); err != nil {
		return plan, err
	}
	j, ok := d.journal().(journal.Readable)
	if !ok {
		return plan, d.locked(ctx, look)
	}
	r := &runner{d: d, read: j.Reader(d.Group)}
	defer r.close() // no journal is open: nothing can fail
	return plan, look(ctx, r)
}

// Run deploys the revision and returns when the deployment has ended, the rollback
// included. The Result says how; a deployment that failed is no error of Run. An
// error means that it did not start, or that it was abandoned and can be resumed:
//
//   - cancelling ctx abandons it: steps are told to return, no decision is taken,
//     and the error wraps context.Cause(ctx). Resume goes on from there.
//   - a record that cannot be written ends the run at once, since nothing may be
//     done that is not written (code JournalFailed).
//   - the lock of a journal that can lose it was lost (journal.ErrLost): the same as
//     cancelling ctx, at once.
//   - ErrUnfinished, ErrExists, journal.ErrLocked: another deployment is in the way.
//   - a [*lifecycle.Error] with code AppSpecInvalid, NoUnits, HealthConstraintsInvalid
//     or another: the deployment was refused before anything was touched.
func (d *Deployment) Run(ctx context.Context) (*Result, error) {
	var res *Result
	err := d.locked(ctx, func(ctx context.Context, r *runner) error {
		var plan strategy.Plan
		var notes []lifecycle.Note
		if err := guard("planning", func() (err error) {
			plan, notes, err = r.prepare(ctx)
			return err
		}); err != nil {
			return err
		}
		if err := r.watch(ctx); err != nil {
			return err
		}
		st, err := r.begin(ctx, plan, notes)
		if err != nil {
			return err
		}
		if err := r.drive(ctx, st); err != nil {
			return err
		}
		res, err = r.conclude(ctx, st)
		return err
	})
	return res, err
}

// Resume goes on with a deployment where its records end, and returns as Run does.
// An empty id means the group's unfinished one, its rollback included; with none,
// the error is ErrNothingToResume. A deployment that has ended is not touched: its
// result is returned. Units may have finished steps meanwhile; they answer with
// what they recorded. A revision that cannot be had for now, for credentials or the
// network, is an error with code RevisionUnavailable, and Resume may be called again;
// one that is gone is noted, and units that have retained it go on.
func (d *Deployment) Resume(ctx context.Context, id string) (*Result, error) {
	var res *Result
	err := d.locked(ctx, func(ctx context.Context, r *runner) error {
		st, err := r.unfinished(ctx, id)
		if err != nil {
			return err
		}
		if o, _ := st.Outcome(); o == nil {
			if err := r.reopen(ctx, st); err != nil {
				return err
			}
			if err := r.drive(ctx, st); err != nil {
				return err
			}
		}
		res, err = r.conclude(ctx, st)
		return err
	})
	return res, err
}

// Stop ends the running deployment: nothing new is started, steps in progress come
// to their end, units between two events are left there and listed. It returns
// when the request is in the journal, or when ctx is cancelled; Run returns when all
// that has happened. It fails with ErrNotRunning while nothing runs; stopping twice
// is the same as once.
func (d *Deployment) Stop(ctx context.Context, opt StopOptions) error {
	return d.command(ctx, command{stop: &opt})
}

// Continue ends the hold that the deployment is in (CodeDeploy: ContinueDeployment):
// traffic moves, originals are retired, the next wave begins; traffic that somebody
// else has changed is overwritten; a rollback gives up on originals that are not
// healthy, and leaves traffic where it is. It returns as Stop does; ErrNoHold if there
// is nothing to continue.
func (d *Deployment) Continue(ctx context.Context, reason string) error {
	return d.command(ctx, command{reason: reason})
}

// command hands c to the run in progress and waits for its answer.
func (d *Deployment) command(ctx context.Context, c command) error {
	d.mu.Lock()
	r := d.running
	d.mu.Unlock()
	if r == nil {
		return ErrNotRunning
	}
	c.reply = make(chan error, 1)
	select {
	case r.commands <- c:
	case <-r.done:
		return ErrNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var err error
	select {
	case err := <-c.reply:
		return err
	case <-r.done:
		err = ErrNotRunning
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	select {
	case err := <-c.reply: // it was answered at the same moment: the answer is what counts
		return err
	default:
		return err
	}
}

// locked runs f with the group's journal open, and with commands connected. The
// context that f gets ends when the lock of the journal is lost.
func (d *Deployment) locked(ctx context.Context, f func(context.Context, *runner) error) (err error) {
	if err := d.valid(); err != nil {
		return err
	}
	r := &runner{d: d, commands: make(chan command), done: make(chan struct{})}
	if !d.connect(nil, r) {
		return errors.New("deployment: already running: one Deployment runs one deployment at a time")
	}
	defer d.connect(r, nil)
	defer close(r.done)
	r.log, err = d.journal().Open(ctx, d.Group)
	if err != nil {
		return fmt.Errorf("group %s: %w", d.Group, err)
	}
	r.read = r.log
	defer func() { err = errors.Join(err, r.close()) }()
	held, release := whileHeld(ctx, r.log)
	defer release()
	return f(held, r)
}

// whileHeld returns a context that ends with the log's lock: without it nothing may be
// done, not even wait. Release ends it too.
func whileHeld(ctx context.Context, log journal.Log) (held context.Context, release func()) {
	leased, ok := log.(journal.Leased)
	if !ok {
		return ctx, func() {}
	}
	held, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-leased.Lost():
			cancel(journal.ErrLost)
		case <-held.Done():
		}
	})
	return held, func() {
		cancel(nil)
		watch.Wait()
	}
}

func (d *Deployment) valid() error {
	switch {
	case d.Group == "":
		return errors.New("deployment: Group is empty: name the deployment group")
	case d.Target == nil:
		return errors.New("deployment: Target is nil: say where to deploy")
	case !slices.Contains([]target.Foreign{target.HoldForeign, target.StopForeign, target.AdoptForeign, target.OverwriteForeign}, d.OnForeignChange):
		return fmt.Errorf("deployment: OnForeignChange is %q: want nothing, stop, adopt or overwrite", d.OnForeignChange)
	default:
		return nil
	}
}

// connect makes a run the one that commands go to, if from is the present one.
func (d *Deployment) connect(from, to *runner) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running != from {
		return false
	}
	d.running = to
	return true
}

func (d *Deployment) journal() journal.Journal {
	if d.Journal != nil {
		return d.Journal
	}
	return &d.memory
}

// newID makes an id in the form of CodeDeploy's: d- and nine letters or digits.
func newID() string { return "d-" + rand.Text()[:9] }
