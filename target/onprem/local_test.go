package onprem_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// walk takes a host through a whole deployment.
func walk(t *testing.T, h target.Host, j *target.Job, deployment string) {
	t.Helper()
	for _, e := range lifecycle.InPlace.Events() {
		err := h.Perform(t.Context(), target.Task{Job: j, Step: lifecycle.Step{Deployment: deployment, Unit: h.Unit().ID, Event: e}})
		require.NoError(t, err)
	}
}

func TestHostsShareAMachineAndNothingElse(t *testing.T) {
	dir, control := t.TempDir(), t.TempDir()
	hosts, err := onprem.Locals(dir, 2)
	require.NoError(t, err)
	one, two := job(t, control, "one"), job(t, control, "two")

	walk(t, hosts[0], one, "d-1")
	walk(t, hosts[1], two, "d-1")
	walk(t, hosts[0], two, "d-2")
	walk(t, hosts[1], one, "d-2")

	require.Equal(t, "two", read(t, dir, "host-1/srv/app/page.txt"))
	require.Equal(t, "one", read(t, dir, "host-2/srv/app/page.txt"))
	require.Equal(t, "run\n", read(t, control, "runs-d-1-host-1-ValidateService"))
}

func TestTreeOfTheHostHoldsOnlyWhatWasDeployed(t *testing.T) {
	dir := t.TempDir()
	hosts, err := onprem.Locals(dir, 1)
	require.NoError(t, err)
	walk(t, hosts[0], job(t, t.TempDir(), "one"), "d-1")

	var found []string
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "host-1"), func(name string, d os.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		found = append(found, filepath.ToSlash(rel))
		return err
	}))
	require.Equal(t, []string{"host-1", "host-1/srv", "host-1/srv/app", "host-1/srv/app/page.txt"}, found)
}

func TestHostWithoutStateIsRefused(t *testing.T) {
	h := &onprem.Local{ID: "web"}
	err := h.Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: "web", Event: lifecycle.Start}, Job: &target.Job{Group: "g"}})
	require.ErrorContains(t, err, "set ID and State")
}

func TestFleetOfNoHostsIsRefused(t *testing.T) {
	_, err := onprem.Locals(t.TempDir(), 0)
	require.ErrorContains(t, err, "want at least 1")
}

func TestCheckTouchesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not-there")
	hosts, err := onprem.Locals(dir, 1)
	require.NoError(t, err)
	_, err = hosts[0].(target.Checker).Check(t.Context(), job(t, t.TempDir(), "one"))
	require.NoError(t, err)
	require.NoDirExists(t, dir)
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(text)
}
