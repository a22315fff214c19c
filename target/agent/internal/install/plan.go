package install

import (
	"context"
	"iter"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Action says what happens to a path.
type Action string

// The actions.
const (
	Create  Action = "create"  // nothing is there
	Replace Action = "replace" // the group's own file, with other content or settings
	Keep    Action = "keep"    // the group's own, and right already
	Take    Action = "take"    // a foreign file, under OVERWRITE: kept in State and replaced
	Retain  Action = "retain"  // a foreign file, under RETAIN: left alone
	Remove  Action = "remove"  // the group's own, not in this revision
	Restore Action = "restore" // a foreign file that was taken earlier comes back
)

// Change is what a plan does to one path.
type Change struct {
	Action Action
	Path   string // absolute, links resolved
	Kind   string // "file", "directory" or "link"
}

// String is the change in one line.
func (c Change) String() string { return string(c.Action) + " " + c.Kind + " " + c.Path }

// Plan is an install that was found possible. It holds for as long as the
// destination stays as it was; what changes meanwhile makes Apply fail, and undo.
type Plan struct {
	Notes []lifecycle.Note // drift and ignored entries, worth a warning

	req    Request
	txn    string
	prev   *books
	tools  *labeller
	bundle string // canonical

	nodes    []*node
	tops     []*node // those that are staged by themselves
	ops      []*op   // in the order of commitment
	metas    []*op   // after them
	restores []restore
	keeps    []keep
	linger   []*record // directories that stay the group's
	drops    []string  // directories that go if they are empty then
	labels   []rule
	unlabel  []rule
	shown    []Change
	counter  int
	applied  bool
}

// restore stages a kept file for an op.
type restore struct {
	op   *op
	from *kept
}

// keep is a file to be copied to State.
type keep struct {
	path string
	as   *kept
}

// NewPlan works out the install. It only reads. A refusal is a *lifecycle.Error
// with code InstallRefused, whose cause is a *multierror.Error of *Problem in the
// order of the AppSpec; on cancellation it returns context.Cause(ctx).
func NewPlan(ctx context.Context, req Request) (*Plan, error) { return newPlan(ctx, req) }

// Changes lists what becomes of every path, sorted by path.
func (p *Plan) Changes() iter.Seq[Change] { return slices.Values(p.shown) }

// Apply carries the plan out, all or nothing. A plan is applied once. On an error,
// or when ctx is cancelled before the commit, everything is put back and the
// error is a *lifecycle.Error with code InstallFailed; should putting back fail as
// well, the error says so and Recover goes on with it. Files are synced: what
// Apply reports survives a power loss.
func (p *Plan) Apply(ctx context.Context) error { return p.apply(ctx) }

// Outcome is what Recover found and did.
type Outcome string

// The outcomes.
const (
	Clean      Outcome = "clean"       // no install had been cut off
	RolledBack Outcome = "rolled back" // the tree is exactly the old one again
	Completed  Outcome = "completed"   // the tree is exactly the new one
)

// Recovered is the result of Recover.
type Recovered struct {
	Outcome    Outcome
	Deployment string // whose install was cut off; empty if Clean
	Notes      []lifecycle.Note
}

// Recover finishes or undoes an install that was cut off. Call it before the first
// plan after a start, and whenever Apply could not put things back. It may itself be
// cut off and called again. A state directory that does not exist is clean.
func Recover(ctx context.Context, state string) (Recovered, error) {
	return recoverState(ctx, state, nil)
}

// Item is one thing that a group owns.
type Item struct {
	Path       string // absolute
	Kind       string // "file", "directory" or "link"
	Digest     string // hex SHA-256 of a file
	Link       string // text of a link
	Took       bool   // a foreign file was taken and is kept in State
	Deployment string // which deployment wrote it last
}

// Owned lists what the group owns now, sorted by path. A state directory that does
// not exist owns nothing.
func Owned(state string) ([]Item, error) { return ownedItems(state) }
