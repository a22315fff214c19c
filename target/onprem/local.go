package onprem

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
)

// RootVar is the environment variable that tells hook scripts the directory of
// their host: [Local.Root], or the root of the file system.
const RootVar = "CUTOVER_ROOT"

// Local is a host on this machine, with its agent in this process. Set ID and
// State. It is safe for concurrent use. Do not change fields after the first call,
// and do not copy it.
type Local struct {
	ID   string // unique in the fleet, the same in every deployment. Required
	Zone string // availability zone; empty: none

	// State is the directory for what the host remembers: revisions, outcomes,
	// logs. It is made if missing, and belongs to this host alone. Required.
	State string

	// Root is the directory that stands for the root of the file system. It is
	// made if missing. Empty: the real one.
	Root string
	// Allow lists directories outside Root that destinations may lie in as
	// written. Destinations already in Root need no mention. Empty: none.
	Allow []string

	// Env is the environment that hook scripts start from, "NAME=value";
	// CodeDeploy's variables and RootVar are added and win. Nil: a small fixed one.
	// Scripts never see the environment of this process unless it is given here.
	Env []string

	Keep  int           // revisions of a group that stay on the host; zero: 5
	Grace time.Duration // between TERM and KILL for a script that has to end; zero: 10 s

	once  sync.Once
	agent *agent.Agent
	err   error
}

var (
	_ target.Host    = (*Local)(nil)
	_ target.Checker = (*Local)(nil)
)

// Locals makes n hosts below dir, called host-1 to host-n. Host i has its files in
// DIR/host-i and its state in DIR/state/host-i. Destinations that already lie
// below dir, or below one of the directories in allow, are used as written.
func Locals(dir string, n int, allow ...string) ([]target.Host, error) {
	if n < 1 {
		return nil, fmt.Errorf("a fleet of %d hosts cannot be made: want at least 1", n)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("the directory of the fleet: %w", err)
	}
	hosts := make([]target.Host, n)
	for i := range hosts {
		id := fmt.Sprintf("host-%d", i+1)
		hosts[i] = &Local{
			ID:    id,
			State: filepath.Join(dir, "state", id),
			Root:  filepath.Join(dir, id),
			Allow: append([]string{dir}, allow...),
		}
	}
	return hosts, nil
}

// Unit says who the host is. It is always there.
func (l *Local) Unit() lifecycle.Unit { return lifecycle.Unit{ID: l.ID, Zone: l.Zone} }

// Check reports what is wrong with a revision before any host is touched.
func (l *Local) Check(ctx context.Context, job *target.Job) ([]lifecycle.Note, error) {
	a, err := l.start(false)
	if err != nil {
		return nil, err
	}
	return a.Check(ctx, job)
}

// Perform does one step on this machine. Its contract is that of [target.Host].
func (l *Local) Perform(ctx context.Context, t target.Task) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	a, err := l.start(true)
	if err != nil {
		return &lifecycle.Error{Step: t.Step, Err: err, Failure: lifecycle.Failure{
			Code: lifecycle.TargetFailed, Message: err.Error()}}
	}
	return a.Perform(ctx, t)
}

// start makes the agent, once, and with touch the host's directory. Planning
// does not touch.
func (l *Local) start(touch bool) (*agent.Agent, error) {
	l.once.Do(func() { l.agent, l.err = l.newAgent() })
	if l.err != nil || !touch || l.agent.Root == "" {
		return l.agent, l.err
	}
	if err := os.MkdirAll(l.agent.Root, 0o755); err != nil {
		return nil, fmt.Errorf("the directory of host %s cannot be made: %w", l.ID, err)
	}
	return l.agent, nil
}

func (l *Local) newAgent() (*agent.Agent, error) {
	if l.ID == "" || l.State == "" {
		return nil, fmt.Errorf("host %q: set ID and State", l.ID)
	}
	a := &agent.Agent{Env: l.Env, Keep: l.Keep, Grace: l.Grace}
	var err error
	if a.Dir, err = filepath.Abs(l.State); err != nil {
		return nil, fmt.Errorf("host %s: State: %w", l.ID, err)
	}
	if l.Root != "" {
		if a.Root, err = filepath.Abs(l.Root); err != nil {
			return nil, fmt.Errorf("host %s: Root: %w", l.ID, err)
		}
	}
	for _, dir := range l.Allow {
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, fmt.Errorf("host %s: Allow: %w", l.ID, err)
		}
		a.Allow = append(a.Allow, dir)
	}
	return a, nil
}
