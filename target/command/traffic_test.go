package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/command"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// balancer is this very program as a load balancer whose state is a directory.
// What the file "behaviour" says goes wrong.
const dirVar = "CUTOVER_TEST_BALANCER"

func TestMain(m *testing.M) {
	dir := os.Getenv(dirVar)
	if dir == "" {
		os.Exit(m.Run())
	}
	file := filepath.Join(dir, os.Args[2])
	behaviour, _ := os.ReadFile(filepath.Join(dir, "behaviour"))
	switch what := os.Args[1] + " " + string(behaviour); {
	case what == "set hangs":
		fmt.Println("waiting for requests to end")
		os.WriteFile(filepath.Join(dir, "waiting"), nil, 0o644)
		time.Sleep(time.Hour)
	case what == "set fails":
		fmt.Fprintln(os.Stderr, "no such pool")
		os.Exit(3)
	case what == "set lies":
	case os.Args[1] == "set":
		if os.Getenv(command.UnitVar) != os.Args[2] || os.Getenv(command.WeightVar) != os.Args[3] {
			os.Exit(4)
		}
		os.WriteFile(file, []byte(os.Args[3]), 0o644)
	case what == "get babbles":
		fmt.Println("weight is 12")
	default:
		fmt.Fprintln(os.Stderr, "a word on standard error")
		text, err := os.ReadFile(file)
		if err != nil {
			text = []byte("0")
		}
		fmt.Printf("%s\n", text)
	}
}

// balancer returns a Traffic and the directory of its state.
func balancer(t *testing.T) (*command.Traffic, string) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	return &command.Traffic{
		Set: []string{exe, "set", "{unit}", "{weight}"}, Get: []string{exe, "get", "{unit}"},
		Env: []string{dirVar + "=" + dir, "GORACE=" + os.Getenv("GORACE")}, Grace: time.Second,
	}, dir
}

func behave(t *testing.T, dir, how string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "behaviour"), []byte(how), 0o644))
}

func failureOf(t *testing.T, err error) lifecycle.Failure {
	t.Helper()
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	return e.Failure
}

func TestKeepsTheContractOfTraffic(t *testing.T) {
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		lb, dir := balancer(t)
		return &targettest.Harness{
			Target:  &target.Fleet{Hosts: []target.Host{idle("a"), idle("b")}, Traffic: lb},
			Traffic: lb, Events: lifecycle.InPlaceBalanced.Events(), Patience: 30 * time.Second,
			Sick: func(string) { behave(t, dir, "fails") },
		}
	})
}

// idle is a host on which everything succeeds at once.
type idle string

func (h idle) Unit() lifecycle.Unit { return lifecycle.Unit{ID: string(h)} }

func (h idle) Perform(ctx context.Context, _ target.Task) error { return context.Cause(ctx) }

func TestNamesAreArgumentsAndNothingElse(t *testing.T) {
	lb, _ := balancer(t)
	for _, unit := range []string{"a b", "$(id)", "x;y", "{weight}", "ü'\""} {
		require.NoError(t, lb.SetWeight(t.Context(), unit, 40))
		w, err := lb.Weight(t.Context(), unit)
		require.NoError(t, err)
		require.Equal(t, lifecycle.Weight(40), w)
	}
	require.ErrorContains(t, lb.SetWeight(t.Context(), "--force", 0), "would take it for an option")
}

func TestFailures(t *testing.T) {
	lb, dir := balancer(t)
	behave(t, dir, "fails")
	f := failureOf(t, lb.SetWeight(t.Context(), "a", 0))
	require.Equal(t, lifecycle.ScriptFailed, f.Code)
	require.Equal(t, 3, f.Exit)
	require.Contains(t, f.Log, "no such pool")

	behave(t, dir, "lies")
	f = failureOf(t, lb.SetWeight(t.Context(), "a", 70))
	require.Equal(t, lifecycle.TargetFailed, f.Code)
	require.Contains(t, f.Message, "to 70 and exited with status 0")
	require.Contains(t, f.Message, "says that it is 0")

	behave(t, dir, "babbles")
	_, err := lb.Weight(t.Context(), "a")
	require.ErrorContains(t, err, `printed "weight is 12\n" as the weight of a`)

	lb.Get = nil
	_, err = lb.Weight(t.Context(), "a")
	require.Equal(t, lifecycle.Unsupported, failureOf(t, err).Code)
	require.Equal(t, lifecycle.Unsupported, failureOf(t, lb.SetWeight(t.Context(), "a", 101)).Code)
	lb.Set = []string{"lb"}
	require.ErrorContains(t, lb.SetWeight(t.Context(), "a", 0), "not an absolute path")
	lb.Set = []string{filepath.Join(dir, "missing")}
	require.Equal(t, lifecycle.ScriptMissing, failureOf(t, lb.SetWeight(t.Context(), "a", 0)).Code)
	lb.Set = nil
	require.ErrorContains(t, lb.SetWeight(t.Context(), "a", 0), "set Traffic.Set")
}

func TestTimeLimit(t *testing.T) {
	lb, dir := balancer(t)
	behave(t, dir, "hangs")
	lb.SetTimeout = 3 * time.Second
	f := failureOf(t, lb.SetWeight(t.Context(), "a", 0))
	require.Equal(t, lifecycle.ScriptTimedOut, f.Code)
	require.Contains(t, f.Message, "raise its limit")
	require.Contains(t, f.Log, "waiting for requests to end")
}

func TestCancelEndsTheProgram(t *testing.T) {
	lb, dir := balancer(t)
	behave(t, dir, "hangs")
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- lb.SetWeight(ctx, "a", 0) }()
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "waiting")); return err == nil }, 30*time.Second, 10*time.Millisecond)
	cancel(why)
	require.ErrorIs(t, <-done, why)
}

func TestOutputIsLogged(t *testing.T) {
	lb, _ := balancer(t)
	var log strings.Builder
	lb.Log = &log
	_, err := lb.Weight(t.Context(), "a")
	require.NoError(t, err)
	require.Contains(t, log.String(), "[stdout]0\n")
	require.Contains(t, log.String(), "[stderr]a word on standard error\n")
}
