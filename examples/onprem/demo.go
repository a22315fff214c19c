package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
)

// act is one deployment of the demonstration.
type act struct {
	says string
	by   func(hosts int) strategy.Strategy
	ends strategy.Verdict // how it has to end, rolled back if it fails
}

// acts are the deployments of sample revisions 1, 2 and 3.
var acts = []act{
	{"Revision 1 is deployed to all hosts at once.", atOnce, strategy.DeploymentSucceeded},
	{"Revision 2 follows, half of the hosts at a time.", byHalves, strategy.DeploymentSucceeded},
	{"Revision 3 is broken. Its ValidateService hook will notice, and the hosts that got it go back to revision 2.", byHalves, strategy.DeploymentFailed},
}

func atOnce(int) strategy.Strategy { return strategy.AllAtOnce() }

// byHalves cannot be had with a single host: half of it would have to stay healthy.
func byHalves(hosts int) strategy.Strategy {
	if hosts < 2 {
		return strategy.OneAtATime()
	}
	return strategy.HalfAtATime()
}

// place is where in the demonstration a deployment stands. Deployments are named
// by it, so the journal tells how far an earlier process came.
type place struct{ round, revision int }

func (p place) id() string { return fmt.Sprintf("demo-%d-%d", p.round, p.revision) }

func parsePlace(id string) (p place, ok bool) {
	n, err := fmt.Sscanf(id, "demo-%d-%d", &p.round, &p.revision)
	return p, err == nil && n == 2 && p.id() == id
}

// runDemo plays the acts, from the first one or from where an earlier process was
// cut off. It reports whether everything went as told.
func (w *world) runDemo(ctx context.Context) (bool, error) {
	if err := writeSamples(w.samples()); err != nil {
		return false, err
	}
	ids, err := w.track.Reader.Deployments(ctx)
	if err != nil {
		return false, err
	}
	at, in := lastPlace(ids)
	next := place{at.round + 1, 1}
	if w.opt.resume && in {
		if next, err = w.goOn(ctx, at); err != nil {
			return false, err
		}
	} else if w.opt.resume {
		res, err := w.resume(ctx, nil)
		if !errors.Is(err, cutover.ErrNothingToResume) {
			return w.program().Conclude(res, err) // a deployment of the user's own
		}
	}
	for ; next.revision <= sampleCount; next.revision++ {
		if err := w.play(ctx, next); err != nil {
			return false, err
		}
	}
	w.track.Display.Close()
	return w.curtain(ctx, place{next.round, 1})
}

// goOn finishes the act that an earlier process was in, and returns what comes
// next.
func (w *world) goOn(ctx context.Context, at place) (place, error) {
	a := acts[at.revision-1]
	res, err := w.resume(ctx, a.by(w.hosts))
	switch {
	case errors.Is(err, cutover.ErrNothingToResume): // it had come to its end
		return place{at.round, at.revision + 1}, nil
	case err != nil:
		return at, err
	default:
		return place{at.round, at.revision + 1}, a.check(res)
	}
}

func (w *world) samples() string { return filepath.Join(w.root, "revisions") }

// lastPlace finds the newest deployment of the demonstration, and says whether the
// group is still in it: nothing but its rollback has followed.
func lastPlace(ids []string) (p place, in bool) {
	for i, id := range slices.Backward(ids) {
		if p, ok := parsePlace(id); ok {
			followers := len(ids) - 1 - i
			return p, followers == 0 || followers == 1 && p.revision == sampleCount
		}
	}
	return place{}, false
}

// play deploys one sample revision.
func (w *world) play(ctx context.Context, p place) error {
	a := acts[p.revision-1]
	w.track.Display.Say("\n" + a.says)
	d := w.deployment(revision.Dir(samplePath(w.samples(), p.revision)), a.by(w.hosts))
	d.ID = p.id()
	res, err := d.Run(ctx)
	if err != nil {
		return err
	}
	return a.check(res)
}

// check compares how a deployment ended with how it had to.
func (a act) check(res *cutover.Result) error {
	switch {
	case res.Status != a.ends && res.Err() != nil:
		return fmt.Errorf("the demonstration did not go as told: %w", res.Err())
	case res.Status != a.ends:
		return fmt.Errorf("the demonstration did not go as told: %s succeeded and should have failed", res.Deployment)
	case a.ends == strategy.DeploymentSucceeded:
		return nil
	case res.Rollback == nil:
		return fmt.Errorf("the demonstration did not go as told: %w; there was no rollback", res.Err())
	case res.Rollback.Err() != nil:
		return fmt.Errorf("the demonstration did not go as told: the rollback failed: %w", res.Rollback.Err())
	}
	return nil
}

// curtain shows what became of the hosts, and looks at their files to be sure.
func (w *world) curtain(ctx context.Context, first place) (bool, error) {
	ids, err := w.track.Reader.Deployments(ctx)
	if err != nil {
		return false, err
	}
	from := max(slices.Index(ids, first.id()), 0)
	w.track.PrintOutcome(w.out, ids[from:])
	for i := range w.hosts {
		if err := looksRight(w.hostDir(i + 1)); err != nil {
			return false, fmt.Errorf("the demonstration did not go as told: host-%d: %w", i+1, err)
		}
	}
	fmt.Fprintf(w.out, "\nAll went as told: every host serves revision 2 again.\n"+
		"It is all in %s, to look around and then to remove:\n"+
		"  host-1/srv/greeter   what was installed; host-1/run/page.html is the page\n"+
		"  state/host-1         what the host's agent remembers, with the logs of its scripts\n"+
		"  journal              every decision, one JSON line each\n"+
		"  revisions            the three samples\n", w.root)
	return true, nil
}

// looksRight checks what the rollback must have left on a host.
func looksRight(dir string) error {
	for name, want := range map[string]string{
		"srv/greeter/site/VERSION": "2",
		"run/page.html":            "<h1>Good morning</h1>",
	} {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), want) {
			return fmt.Errorf("%s does not say %q", name, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "srv/greeter/site/legacy.txt")); err == nil {
		return errors.New("legacy.txt of revision 1 is still there")
	}
	return nil
}
