//go:build unix

package cutover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/fake"
)

// killable are the deployments that are killed at every write. Each has a past, the
// deployment of another revision (retry: of the same one), which is not killed.
var killable = map[string]struct {
	world  func() *durable
	past   bool
	change func(*Deployment, *durable)
}{
	"in-place": {func() *durable { return inPlaceWorld(2) }, true, func(d *Deployment, _ *durable) { d.Strategy = strategy.AllAtOnce() }},
	"zonal": {func() *durable { return inPlaceWorld(2, "a", "b") }, true, func(d *Deployment, _ *durable) {
		d.Strategy = strategy.InPlace{Zonal: &strategy.Zonal{Monitor: time.Millisecond}}
	}},
	"canary": {ecsWorld, false, func(d *Deployment, _ *durable) {
		d.Strategy = strategy.ECS{Shift: strategy.Canary(10, time.Millisecond), Termination: strategy.Wait{For: time.Millisecond}}
	}},
	"blue/green": {blueGreenWorld, false, func(d *Deployment, _ *durable) { d.Strategy = strategy.BlueGreen{} }},
	"pool": {poolWorld, false, func(d *Deployment, w *durable) { // and back again, to the last host that was made
		d.Strategy = strategy.BlueGreen{}
		w.On(fake.Match{Deployment: "d-it", Event: lifecycle.AfterBlockTraffic}, fake.Fail(lifecycle.ScriptFailed))
	}},
	"rollback": {func() *durable { return inPlaceWorld(2) }, true, func(d *Deployment, w *durable) {
		w.On(fake.Match{Deployment: "d-it", Unit: "host-1", Event: lifecycle.AfterInstall}, fake.Fail(lifecycle.ScriptFailed))
	}},
	"stop": {func() *durable { return inPlaceWorld(2) }, true, func(d *Deployment, w *durable) {
		w.during = func(s lifecycle.Step) { // a person who says so again when nobody has heard it
			if s.Deployment == "d-it" && s.Unit == "host-1" && s.Event == lifecycle.Install {
				_ = d.Stop(context.Background(), StopOptions{Rollback: true}) // the process may end first
			}
		}
	}},
	"approval": {func() *durable { return inPlaceWorld(2) }, true, func(d *Deployment, _ *durable) {
		d.Strategy = strategy.InPlace{Waves: [][]string{{"host-1"}}, WaveHold: strategy.Wait{StopOnExpiry: true}}
		go func() { // a person who looks in again and again; the process ends it
			for {
				_ = d.Continue(context.Background(), "looks good") // most of the time there is nothing to continue
				time.Sleep(time.Millisecond)
			}
		}()
	}},
	"retry": {func() *durable {
		w := inPlaceWorld(3)
		w.On(fake.Match{Deployment: "d-past", Unit: "host-2", Event: lifecycle.Install}, fake.Fail(lifecycle.InstallFailed))
		return w
	}, true, func(d *Deployment, _ *durable) { d.Strategy, d.OutdatedOnly = strategy.AllAtOnce(), true }},
}

const killEnv = "CUTOVER_TEST_KILL" // scenario, directory, when, number of the write; spaces between

// killChild is the process that is killed. It makes sure of the deployment and
// prints how it ended.
func killChild(args []string) error {
	name, dir, when := args[0], args[1], args[2]
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	k := killable[name]
	w := k.world()
	d := &Deployment{Group: "web", ID: "d-past", Target: w, Strategy: strategy.AllAtOnce(), WorkDir: dir, Revision: revision.Dir(filepath.Join(dir, "one"))}
	file := &journal.File{Dir: filepath.Join(dir, "journal")}
	d.Journal = file
	if when != "past" {
		d = &Deployment{Group: "web", ID: "d-it", Target: w, WorkDir: dir, Revision: revision.Dir(filepath.Join(dir, "two")),
			Rollback: rollback.Policy{OnFailure: true}, Journal: killtest.Journal(file, when, n, killtest.Now)}
		if name == "retry" {
			d.Revision = revision.Dir(filepath.Join(dir, "one"))
		}
		k.change(d, w)
	}
	if err := w.open(dir); err != nil {
		return err
	}
	res, err := makeSure(d)
	if err != nil {
		return err
	}
	ended := outcome{Result: res, Weights: w.weights()}
	return json.NewEncoder(os.Stdout).Encode(ended)
}

// makeSure resumes what is unfinished, says how it ended if it has, and runs it if
// it never began.
func makeSure(d *Deployment) (*Result, error) {
	res, err := d.Resume(context.Background(), "")
	if errors.Is(err, ErrNothingToResume) {
		res, err = d.Resume(context.Background(), d.ID)
	}
	if errors.Is(err, journal.ErrNotFound) {
		res, err = d.Run(context.Background())
	}
	return res, err
}

// outcome is what must be the same whether or not the controller was killed.
type outcome struct {
	Result  *Result
	Weights map[string]lifecycle.Weight
	Effects []string `json:",omitempty"`
}

// child runs the program to its end or its death.
func child(t *testing.T, name, dir, when string, n int) (killed bool, e outcome) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %d", killEnv, name, dir, when, n))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if killtest.Died(cmd) {
		return true, e
	}
	require.NoError(t, err, "%s %s %d: %s", name, when, n, &stderr)
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &e), stdout.String())
	effects, err := readEffects(dir)
	require.NoError(t, err)
	for _, one := range effects {
		require.NotContains(t, e.Effects, one.normal(), "done twice")
		e.Effects = append(e.Effects, one.normal())
	}
	slices.Sort(e.Effects) // hosts do not wait for each other
	for r := e.Result.Rollback; r != nil; r = r.Rollback {
		r.Deployment = "rollback"
	}
	return false, e
}

// intentFirst checks invariant 12: what was done was written down before.
func intentFirst(t *testing.T, dir string) {
	t.Helper()
	group := (&journal.File{Dir: filepath.Join(dir, "journal")}).Reader("web")
	ids, err := group.Deployments(t.Context())
	require.NoError(t, err)
	started := map[string]bool{}
	for _, id := range ids {
		for r, err := range group.Records(t.Context(), id, 1) {
			require.NoError(t, err)
			if r.Kind == lifecycle.Started {
				started[r.Step.Key()] = true
			}
		}
	}
	effects, err := readEffects(dir)
	require.NoError(t, err)
	for _, e := range effects {
		require.True(t, started[e.Step.Key()], "%s was done and not written down", e.Step)
	}
}

// killDir makes the directory of one trial, with its past. It is in memory where that
// is possible: a process that dies loses nothing there, and syncing is quick.
func killDir(t *testing.T, from string) string {
	dir, err := os.MkdirTemp("/dev/shm", "cutover-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
	return dir
}

// Invariants 12, 13, 16: a controller is killed before and after every write to its
// journal, for real, and another process goes on: the same end, nothing done twice,
// nothing forgotten.
func TestKilledAtEveryWrite(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 5
	}
	for name, k := range killable {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			base := filepath.Join(t.TempDir(), "base")
			for _, content := range []string{"one", "two"} {
				require.NoError(t, os.MkdirAll(filepath.Join(base, content), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(base, content, "release.txt"), []byte(content), 0o644))
			}
			if k.past {
				killed, e := child(t, name, base, "past", 0)
				require.False(t, killed)
				require.Equal(t, strategy.DeploymentSucceeded, e.Result.Status)
			}
			whole := killDir(t, base)
			_, want := child(t, name, whole, "never", 0)
			if name == "rollback" || name == "stop" || name == "pool" {
				require.NotNil(t, want.Result.Rollback)
				require.Equal(t, strategy.DeploymentSucceeded, want.Result.Rollback.Status)
			} else {
				require.Equal(t, strategy.DeploymentSucceeded, want.Result.Status)
			}
			for _, when := range []string{"before", "after"} {
				deaths := 0
				for n := 1; ; n += stride {
					dir := killDir(t, base)
					if killed, _ := child(t, name, dir, when, n); !killed {
						break
					}
					deaths++
					intentFirst(t, dir)
					killed, got := child(t, name, dir, "never", 0)
					require.False(t, killed)
					require.Equal(t, relocated(want, whole), relocated(got, dir), "killed %s write %d", when, n)
					require.NoError(t, os.RemoveAll(dir))
				}
				require.Greater(t, deaths, 8/stride, "there are more writes than that")
				t.Logf("killed %s %d writes", when, deaths)
			}
		})
	}
}

// relocated takes the directory of a trial out of what it says.
func relocated(e outcome, dir string) string {
	data, _ := json.MarshalIndent(e, "", " ") // plain fields always marshal
	return strings.ReplaceAll(string(data), dir, "DIR")
}

// beKilled turns the test binary into the process that is killed, if it is to be one.
func beKilled() {
	args := os.Getenv(killEnv)
	if args == "" {
		return
	}
	if err := killChild(strings.Fields(args)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
