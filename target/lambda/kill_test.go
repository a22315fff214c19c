//go:build unix

package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/function"
	"github.com/cutover-deploy/cutover/target/lambda"
)

// trial is one life of a controller. The world is an emulator, which outlives it.
type trial struct {
	URL, Dir, Function string
	Fails              bool   // the hook after the shift fails, so it is rolled back
	When               string // before or after; never: it is not killed
	N                  int    // of the write at which it is killed
}

const killEnv = "LAMBDA_TEST_KILL"

// beKilled turns the test binary into a controller, if it is to be one.
func beKilled() {
	text, ok := os.LookupEnv(killEnv)
	if !ok {
		return
	}
	var it trial
	err := json.Unmarshal([]byte(text), &it)
	if err == nil {
		err = it.control()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// control makes sure of the deployment and prints how it ended.
func (it trial) control() error {
	text, err := os.ReadFile(filepath.Join(it.Dir, "appspec.yml"))
	if err != nil {
		return err
	}
	spec, _, err := appspec.Parse("appspec.yml", text, appspec.Options{Platform: lifecycle.Lambda})
	if err != nil {
		return err
	}
	hook := function.Go(lifecycle.Func(it.hook))
	server := &moto.Server{URL: it.URL}
	d := &cutover.Deployment{Group: "checkout", ID: "d-it", Revision: revision.Dir(it.Dir), WorkDir: it.Dir,
		Strategy: strategy.Lambda{Shift: strategy.Canary(10, 50*time.Millisecond)}, Rollback: rollback.Policy{OnFailure: true},
		Journal: killtest.Journal(&journal.File{Dir: filepath.Join(it.Dir, "journal")}, it.When, it.N, killtest.Now),
		Target: &lambda.Alias{Client: emulated{awslambda.NewFromConfig(server.Config())}, Spec: spec, Hooks: &function.Hooks{
			Ledger: &function.Files{Dir: filepath.Join(it.Dir, "hooks")},
			Caller: &function.Names{Named: map[string]function.Caller{"LooksBefore": hook, "LooksAfter": hook}}}}}
	res, err := d.Resume(context.Background(), "")
	if errors.Is(err, cutover.ErrNothingToResume) {
		res, err = d.Resume(context.Background(), d.ID)
	}
	if errors.Is(err, journal.ErrNotFound) {
		res, err = d.Run(context.Background())
	}
	if err != nil {
		return err
	}
	end := string(res.Status)
	if res.Rollback != nil {
		end += ", rollback " + string(res.Rollback.Status)
	}
	fmt.Println(end)
	return nil
}

// hook writes down that it ran.
func (it trial) hook(_ context.Context, e lifecycle.Env, _ io.Writer) error {
	f, err := os.OpenFile(filepath.Join(it.Dir, "ran"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, e.Step.Key())
	if err = errors.Join(err, f.Close()); err == nil && it.Fails && e.Step.Event == lifecycle.AfterAllowTraffic {
		err = &function.Error{Message: "no rows"}
	}
	return err
}

// live runs a controller to its end or its death.
func (it trial) live() (killed bool, end string, err error) {
	args, err := json.Marshal(it)
	if err != nil {
		return false, "", err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+string(args))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if killtest.Died(cmd) {
		return true, "", nil
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, &stderr)
	}
	return false, strings.TrimSpace(stdout.String()), err
}

// whole kills a controller, lets another one go on, and says how all ended: the verdicts,
// the alias, and how often each hook ran.
func (it trial) whole(c *awslambda.Client) (killed bool, end string, err error) {
	killed, end, err = it.live()
	if killed {
		it.When = "never"
		_, end, err = it.live()
	}
	if err != nil {
		return killed, "", err
	}
	out, err := c.GetAlias(context.Background(), &awslambda.GetAliasInput{FunctionName: &it.Function, Name: aws.String("live")})
	if err != nil {
		return killed, "", err
	}
	ran, err := os.ReadFile(filepath.Join(it.Dir, "ran"))
	weights := map[string]float64{}
	if out.RoutingConfig != nil {
		weights = out.RoutingConfig.AdditionalVersionWeights
	}
	return killed, fmt.Sprintf("%s; version %s, weights %v\n%s", end, *out.FunctionVersion, weights, ran), err
}

// A controller is killed for real before and after every write to its journal, and
// another process goes on: the same end, no hook called twice.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel() // it waits most of the time
	server := moto.Start(t)
	c := motoWorld(t, server, home)
	var lock sync.Mutex
	made := 0
	begin := func(fails bool, when string, n int) trial {
		lock.Lock()
		defer lock.Unlock()
		made++
		it := trial{URL: server.URL, Dir: t.TempDir(), Function: fmt.Sprintf("checkout-%d", made), Fails: fails, When: when, N: n}
		require.NoError(t, os.WriteFile(filepath.Join(it.Dir, "appspec.yml"), []byte(strings.Replace(appSpec, "Name: checkout", "Name: "+it.Function, 1)), 0o600))
		twoVersions(t, server, c, it.Function)
		return it
	}
	for name, fails := range map[string]bool{"it succeeds": false, "it is rolled back": true} {
		t.Run(name, func(t *testing.T) {
			_, want, err := begin(fails, "never", 0).whole(c)
			require.NoError(t, err)
			require.Contains(t, want, map[bool]string{false: "Succeeded; version 2, weights map[]", true: "rollback Succeeded; version 1, weights map[]"}[fails])
			var all sync.WaitGroup
			errs, deaths := make([]error, 40), make([]bool, 40)
			for i := range errs {
				it := begin(fails, []string{"before", "after"}[i%2], i/2+1)
				all.Go(func() {
					killed, got, err := it.whole(c)
					deaths[i] = killed
					if err == nil && got != want {
						err = fmt.Errorf("it ended as %q, and not as %q", got, want)
					}
					if err != nil {
						errs[i] = fmt.Errorf("killed %s write %d: %w", it.When, it.N, err)
					}
				})
				if i%20 == 19 {
					all.Wait() // the machine has other things to do
				}
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			require.False(t, deaths[38] || deaths[39], "there are more writes than were tried")
			n := 0
			for _, died := range deaths {
				if died {
					n++
				}
			}
			require.Greater(t, n, 12)
			t.Logf("killed %d times", n)
		})
	}
}
