package lifecycle

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// calmScans is how many scans in a row must find nobody where there is no control
// group. One can miss a process: it may be born after the processes were listed
// and its parent be dead before it is looked at.
const calmScans = 3

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
	for tries, calm := 0, 0; tries < 200; tries++ {
		found := leftovers(&marked, groups)
		if calm++; len(found) > 0 {
			calm = 0
		}
		if calm == calmScans {
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
		if !pause(ctx, 10*time.Millisecond) {
			return len(ended), context.Cause(ctx)
		}
	}
	return len(ended), fmt.Errorf("%s: processes of an interrupted hook do not end when killed; find them by their variable %s=%s",
		env.Step, markVar, prefix)
}

// leftovers lists what lives in the groups, what carries the mark, and the kin of
// both.
func leftovers(marked *carriers, groups []*cgroup) map[int]proc {
	all := allProcs()
	found := marked.among(all)
	for _, cg := range groups {
		for _, p := range cg.procs() {
			found[p.pid] = p
		}
	}
	kin(found, all, false)
	return found
}
