//go:build unix

package ec2_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

// killable are the deployments whose controllers are killed.
var killable = map[string]struct {
	strategy strategy.Strategy
	fails    lifecycle.Event // on every instance; empty: nothing does
	minimum  int             // of the instances that serve, of 6
	ends     string
}{
	"in place":   {strategy.HalfAtATime(), "", 3, "Succeeded map[Succeeded:6]"},
	"blue/green": {strategy.BlueGreen{}, "", 6, "Succeeded map[Succeeded:12]"},

	"blue/green, failing validation": {strategy.BlueGreen{}, lifecycle.ValidateService, 6, "Failed, rolled back: Succeeded"},
	"blue/green, failing in traffic": {strategy.BlueGreen{}, lifecycle.AfterAllowTraffic, 6, "Failed, rolled back: Succeeded"},
}

// life is one life of a controller, in a process of its own. The world outlives it.
type life struct {
	Dir, Scenario string
	// When it is killed: before or after a write to its journal, by itself; asking or asked,
	// by the world, at a call of AWS that then is not done or is; never: it is not killed.
	When string
	N    int // of the write or call, from 1

	Storm uint64 // the seed of what goes wrong with calls of AWS; 0: nothing does
}

const lifeEnv = "EC2_TEST_LIFE"

// TestLife is no test but a controller: it makes sure of a deployment and writes down how
// that ended. Its clock is that of the world, which it asks by two pipes.
func TestLife(t *testing.T) {
	text, ok := os.LookupEnv(lifeEnv)
	if !ok {
		return
	}
	var it life
	require.NoError(t, json.Unmarshal([]byte(text), &it))
	synctest.Test(t, func(t *testing.T) {
		w := newKillable(t)
		require.NoError(t, w.API.Through(duplex{os.NewFile(3, "answers"), os.NewFile(4, "questions")}))
		f := w.managedFleet(ec2.Selection{Groups: []string{"web"}})
		f.Instances = afar{w.API}
		w.reach.Store, w.reach.Program = afar{w.API}, filepath.Join(it.Dir, "program")
		c := killable[it.Scenario]
		if _, is := c.strategy.(strategy.BlueGreen); is {
			f.Green = &ec2.Green{}
		}
		d := w.deployment(t, f, c.strategy)
		d.LostBudget = 5
		d.ID, d.Journal = "d-1", killtest.Journal(&journal.File{Dir: filepath.Join(it.Dir, "journal")}, it.When, it.N, killtest.Now)
		res, err := makeSure(t.Context(), d)
		require.NoError(t, err)
		end := fmt.Sprintf("%s %s", res.Status, statuses(res))
		if res.Rollback != nil {
			end = fmt.Sprintf("%s, rolled back: %s", res.Status, res.Rollback.Status)
		}
		require.NoError(t, os.WriteFile(filepath.Join(it.Dir, "end"), []byte(end), 0o600))
	})
}

// makeSure resumes what is unfinished, says how it ended if it has, and runs it if it
// never began.
func makeSure(ctx context.Context, d *cutover.Deployment) (*cutover.Result, error) {
	res, err := d.Resume(ctx, "")
	if errors.Is(err, cutover.ErrNothingToResume) {
		res, err = d.Resume(ctx, d.ID)
	}
	if errors.Is(err, journal.ErrNotFound) {
		res, err = d.Run(ctx)
	}
	return res, err
}

// killing ends the process at a call. Other calls go wrong as in a storm, if there is one.
func (it life) killing(p *os.Process, before int) func(awsfake.Call) awsfake.Fault {
	others := func(awsfake.Call) awsfake.Fault { return awsfake.NoFault }
	if it.Storm > 0 {
		others = storm(it.Storm)
	}
	return func(c awsfake.Call) awsfake.Fault {
		asking := it.When == "asking"
		if c.N == before+it.N-1 && (asking || it.When == "asked") {
			_ = p.Kill() // it waits for the answer
			if asking {
				return awsfake.AccessDenied
			}
			return awsfake.NoFault
		}
		f := others(c)
		if c.Service == beside || f == awsfake.StaleRead {
			return awsfake.NoFault // no client asks again; and two old answers in a row may end otherwise
		}
		return f
	}
}

// duplex is a connection of two pipes.
type duplex struct {
	io.Reader
	io.Writer
}

// afar is what of a world no client of the SDK speaks to, asked by way of its API.
type afar struct{ api *awsfake.API }

const beside = "What is beside AWS"

type file struct{ Name, Content string }

// newKillable makes a world that can be asked from afar for everything.
func newKillable(t *testing.T) *managedWorld {
	w := newManaged(t)
	awsfake.Handle(w.API, beside, "Describe", func(ctx context.Context, q *ec2.Query) (*[]ec2.Instance, error) {
		found, err := direct{w.Machines}.Describe(ctx, *q)
		return &found, err
	})
	awsfake.Handle(w.API, beside, "Terminate", func(ctx context.Context, ids *[]string) (*struct{}, error) {
		return &struct{}{}, direct{w.Machines}.Terminate(ctx, *ids)
	})
	awsfake.Handle(w.API, beside, "Put", func(ctx context.Context, f *file) (*string, error) {
		address, err := w.mem.Put(ctx, f.Name, strings.NewReader(f.Content))
		return &address, err
	})
	return w
}

func (a afar) Describe(ctx context.Context, q ec2.Query) ([]ec2.Instance, error) {
	found, err := awsfake.Do[[]ec2.Instance](ctx, a.api, beside, "Describe", &q)
	if err != nil {
		return nil, err
	}
	return *found, nil
}

func (a afar) Terminate(ctx context.Context, ids []string) error {
	_, err := awsfake.Do[struct{}](ctx, a.api, beside, "Terminate", &ids)
	return err
}

func (a afar) Put(ctx context.Context, name string, content io.ReadSeeker) (string, error) {
	data, err := io.ReadAll(content)
	if err != nil {
		return "", err
	}
	address, err := awsfake.Do[string](ctx, a.api, beside, "Put", &file{name, string(data)})
	if err != nil {
		return "", err
	}
	return *address, nil
}

// live runs a controller in the world to its end or its death. The world's clock stands
// still but for what the controller waits.
func (it life) live(t *testing.T, w *managedWorld) (killed bool, end string) {
	t.Helper()
	args, err := json.Marshal(it)
	require.NoError(t, err)
	from, questions, err := os.Pipe()
	require.NoError(t, err)
	answers, to, err := os.Pipe()
	require.NoError(t, err)
	said, err := os.Create(filepath.Join(it.Dir, "said")) // a buffer would need a goroutine, which reads
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestLife$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), lifeEnv+"="+string(args), "TMPDIR="+it.Dir, "GOGC=off") // who is killed leaves files; a life is short
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{answers, questions}, said, said
	require.NoError(t, cmd.Start())
	for _, its := range []*os.File{answers, questions, said} {
		its.Close()
	}
	w.API.Inject(it.killing(cmd.Process, len(w.API.Calls())))
	err = w.API.Serve(duplex{from, to})
	w.API.Inject(nil)
	from.Close()
	to.Close()
	died := cmd.Wait()
	require.NoError(t, err)
	if killtest.Died(cmd) {
		return true, ""
	}
	text, _ := os.ReadFile(filepath.Join(it.Dir, "said"))
	require.NoError(t, died, "%s", text)
	text, err = os.ReadFile(filepath.Join(it.Dir, "end"))
	require.NoError(t, err)
	return false, string(text)
}

// ended is a world when all is over. It must be the same whoever was killed.
type ended struct {
	End     string
	Groups  []string          // with their sizes, tags and suspended processes
	Serving map[string]string // revisions by the instances that serve
	Lives   []string          // instances
	Done    []string          // steps on hosts
}

func (w *managedWorld) ended(t *testing.T, end string) ended {
	t.Helper()
	e := ended{End: end, Serving: map[string]string{}, Lives: w.Machines.IDs()}
	for _, id := range w.Serving(w.arn) {
		e.Serving[id] = w.hosts.Revision(id)
	}
	for _, s := range w.hosts.Done() {
		if s.Deployment != "d-1" {
			s.Deployment = "its rollback"
		}
		require.NotContains(t, e.Done, s.Key(), "done twice")
		e.Done = append(e.Done, s.Key())
	}
	slices.Sort(e.Done) // hosts do not wait for each other
	out, err := w.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	require.NoError(t, err)
	for _, g := range out.AutoScalingGroups {
		text := fmt.Sprintf("%s %d <= %d <= %d, %d target groups, suspended %v", *g.AutoScalingGroupName, *g.MinSize, *g.DesiredCapacity, *g.MaxSize,
			len(g.TargetGroupARNs), w.Groups.Suspended(*g.AutoScalingGroupName))
		for _, tag := range g.Tags {
			text += " " + aws.ToString(tag.Key) + "=" + aws.ToString(tag.Value)
		}
		e.Groups = append(e.Groups, text)
	}
	return e
}

// trial is a deployment to a group of n instances in a new world. Controllers live one
// after the other, and between them nobody is there for a while; the last one is not killed.
type trial struct {
	scenario string
	n        int
	lives    []life
	weather  func(w *managedWorld) // what else happens; nil: nothing
}

// run says how often a controller was killed, the fewest instances that served at any
// time, and how all ended.
func (tr trial) run(t *testing.T) (kills, fewest int, e ended) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cutover-") // a process that dies loses nothing there, and syncing is quick
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "program"), []byte(agent.Linked()), 0o700))
	synctest.Test(t, func(t *testing.T) {
		w := newKillable(t)
		w.scaled(t, "web", tr.n)
		if fails := killable[tr.scenario].fails; fails != "" {
			w.hosts.On(fake.Match{Deployment: "d-1", Event: fails}, fake.Fail(lifecycle.ScriptFailed))
		}
		fewest = w.world.run(t, func() {
			if tr.weather != nil {
				tr.weather(w)
			}
			killed, end := false, ""
			for _, it := range append(tr.lives, life{When: "never"}) {
				it.Dir, it.Scenario = dir, tr.scenario
				if killed, end = it.live(t, w); !killed {
					break
				}
				kills++
				time.Sleep(time.Duration(it.N%4) * 40 * time.Second)
			}
			time.Sleep(4 * time.Minute) // what was terminated is gone, and has a successor
			e = w.ended(t, end)
		})
	})
	return kills, fewest, e
}

// A controller is killed by SIGKILL before and after every write to its journal, and
// another process goes on: the same end, nothing done twice, as many in traffic as were
// promised at any time, nothing left suspended.
func TestKilledForReal(t *testing.T) {
	stride := killtest.Every(1, 15)
	for name, c := range killable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, fewest, want := trial{scenario: name, n: 6}.run(t)
			require.Equal(t, c.ends, want.End)
			require.Equal(t, c.minimum, fewest)
			require.Len(t, want.Serving, 6)
			all := 0
			for n, more := 1, true; more; n += stride {
				kills, fewest, got := trial{scenario: name, n: 6, lives: []life{{When: "before", N: n}, {When: "after", N: 1}}}.run(t)
				require.Equal(t, want, got, "killed at write %d", n)
				require.GreaterOrEqual(t, fewest, c.minimum, "killed at write %d", n)
				more = kills > 0
				all += kills
			}
			require.Greater(t, all, 20/stride)
			t.Logf("killed %d times", all)
		})
	}
}

// manyDeaths kills at writes, and in the middle of calls of AWS, which then are done or are
// not. Of the other calls every seventh goes wrong.
func manyDeaths(seed uint64) (lives []life) {
	r := rand.New(rand.NewPCG(seed, 100))
	for i := range 12 {
		lives = append(lives, life{When: []string{"before", "asking", "after", "asked"}[i%4], N: 2 + r.IntN(20), Storm: seed + uint64(i)})
	}
	return append(lives, life{When: "never", Storm: seed})
}

// The same with a hundred instances, whose controllers are killed again and again.
func TestHundredKilledForReal(t *testing.T) {
	n := 100
	if testing.Short() {
		n = 20
	}
	for name, minimum := range map[string]int{"in place": n / 2, "blue/green": n} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, want := trial{scenario: name, n: n}.run(t)
			kills, fewest, got := trial{scenario: name, n: n, lives: manyDeaths(1)}.run(t)
			require.Equal(t, want, got)
			require.GreaterOrEqual(t, fewest, minimum)
			require.Greater(t, kills, 6)

			var gone atomic.Int32
			vanish := func(w *managedWorld) {
				for i, id := range w.Groups.Members("web")[:4] {
					time.AfterFunc(time.Duration(40+100*i)*time.Second, func() {
						gone.Add(1)
						w.Vanish(id, w.arn)
					})
				}
			}
			more, fewest, got := trial{scenario: name, n: n, lives: manyDeaths(2), weather: vanish}.run(t)
			require.Equal(t, want.Groups, got.Groups)
			require.Equal(t, "Succeeded", strings.Fields(got.End)[0])
			require.GreaterOrEqual(t, len(got.Serving), n-int(gone.Load()))
			require.GreaterOrEqual(t, fewest, minimum-int(gone.Load()))
			t.Logf("killed %d and %d times, %d vanished, %d serve: %s", kills, more, gone.Load(), len(got.Serving), got.End)
		})
	}
}
