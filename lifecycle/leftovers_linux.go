package lifecycle

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// EndLeftovers kills what is left running of a hook of env.Step that was cut off
// when the process that ran it died, and returns how many processes that were. It
// must be called before the step is done again or reported as interrupted, and
// never while the step is being done. Env needs Step and Scope, the same as then.
// On the way it clears away the empty control groups that dead processes left.
func EndLeftovers(ctx context.Context, env Env) (int, error) {
	prefix := stepMark(env) + "."
	groups := leftCgroups(prefix)
	defer func() {
		for _, cg := range groups {
			cg.close(false)
		}
	}()
	marked := carriers{mark: prefix}
	ended := map[hit]bool{}
	for range 100 {
		found, sure := leftovers(&marked, groups)
		if sure && len(found) == 0 {
			return len(ended), nil
		}
		for _, p := range found {
			if p.signal(syscall.SIGKILL) {
				ended[hit{p.pid, p.start}] = true
			}
		}
		for _, cg := range groups {
			cg.kill()
		}
		if !pause(ctx, 20*time.Millisecond) {
			return len(ended), context.Cause(ctx)
		}
	}
	return len(ended), fmt.Errorf("%s: processes of an interrupted hook do not end when killed; find them by their variable %s=%s",
		env.Step, markVar, prefix)
}

// leftovers lists what lives in the groups, what carries the mark, and the kin of
// both, and says whether that is sure to be all.
func leftovers(marked *carriers, groups []*cgroup) (found map[int]proc, sure bool) {
	all := allProcs()
	found, sure = marked.among(all)
	for _, cg := range groups {
		for _, p := range cg.procs() {
			found[p.pid] = p
		}
	}
	kin(found, all)
	return found, sure
}
