package ec2_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake/ssm"
	"github.com/cutover-deploy/cutover/internal/platform"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
)

// other is a platform that this machine is not of, and what its hosts say.
func other() (name, uname string) {
	if runtime.GOARCH == "arm64" {
		return "linux-amd64", "Linux x86_64"
	}
	return "linux-arm64", "Linux aarch64"
}

// saying makes some hosts say that they are of the other platform.
func (r *real) saying(ids ...string) {
	_, uname := other()
	r.run.Run = ssm.Shell(func(host, script string) string {
		script = meant(host, script)
		for _, id := range ids {
			if id == host {
				script = "uname() { echo '" + uname + "'; }\n" + script
			}
		}
		return script
	})
}

// programs writes this test's executable for this platform and for the other: longer, so
// that it is another one and still runs here.
func programs(t *testing.T) string {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	data, err := os.ReadFile(self)
	require.NoError(t, err)
	name, _ := other()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), append(data, "other"...), 0o700))
	require.NoError(t, os.Symlink(self, filepath.Join(dir, runtime.GOOS+"-"+runtime.GOARCH)))
	for _, name := range []string{"README-first", "notes-amd64"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	return dir
}

// A fleet of two platforms: the same command goes to both, and each host takes its own
// program.
func TestHostsOfTwoPlatforms(t *testing.T) {
	t.Parallel()
	r := newReal(t, 2)
	r.saying(r.ids[1])
	r.reach.Programs = programs(t)
	res, err := r.deployment(t, revisionOf(t, "one", "exit 0")).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "map[Succeeded:2]", statuses(res), "%+v", res.Failure)
	agents := map[string]bool{}
	for _, id := range r.ids {
		found, err := filepath.Glob(filepath.Join(r.root, id, "s", ".agents", strings.Repeat("?", 64)))
		require.NoError(t, err)
		require.Len(t, found, 1)
		agents[filepath.Base(found[0])] = true
	}
	require.Len(t, agents, 2)
	require.Less(t, r.api.Counts()["SSM.SendCommand"], 2*len(lifecycle.InPlace.Events()), "hosts share commands")
}

// A host that there is no program for is refused before anything is begun, and the
// others go on.
func TestAHostOfAnotherPlatformIsRefused(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} {
		r := newReal(t, 2)
		r.saying(r.ids[1])
		if named { // its platform is read from the executable
			self, err := os.Executable()
			require.NoError(t, err)
			r.reach.Program = self
		}
		d := r.deployment(t, revisionOf(t, "one", "exit 0"))
		d.Strategy = strategy.InPlace{}
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		f := res.Units[1].Failure
		require.Equal(t, lifecycle.TargetFailed, f.Code)
		_, uname := other()
		require.Contains(t, f.Message, "the host is "+strings.ToLower(uname))
		require.Contains(t, f.Message, "SSM.Programs")
		require.NoDirExists(t, filepath.Join(r.root, r.ids[1], "s"))
	}
}

// What cannot be an agent is not sent, and nothing is begun.
func TestProgramsThatAreNoAgents(t *testing.T) {
	t.Parallel()
	r := newReal(t, 1)
	dir := t.TempDir()
	path := filepath.Join(dir, runtime.GOOS+"-"+runtime.GOARCH)
	require.NoError(t, os.WriteFile(path, []byte("a program"), 0o700))
	for _, in := range [][2]string{{path, ""}, {"", dir}} {
		r.reach = r.newReach()
		r.reach.Program, r.reach.Programs = in[0], in[1]
		err := r.fleet().Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: r.ids[0], Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}})
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.TargetFailed, code, fmt.Sprint(err))
		require.Contains(t, text, "agent.Main()")
		require.Contains(t, text, path)
	}
	require.Zero(t, r.api.Counts()["SSM.SendCommand"])
}

func TestDirectoriesWithoutPrograms(t *testing.T) {
	t.Parallel()
	r := newReal(t, 1)
	for dir, want := range map[string]string{t.TempDir(): "named after a platform", filepath.Join(r.root, "none"): "cannot be listed"} {
		r.reach.Programs = dir
		err := r.fleet().Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Unit: r.ids[0], Event: lifecycle.AfterInstall}, Job: &target.Job{Group: "web"}})
		code, text := codeAndText(err)
		require.Equal(t, lifecycle.TargetFailed, code, fmt.Sprint(err))
		require.Contains(t, text, want)
	}
	require.NotEmpty(t, platform.Unames(runtime.GOOS, runtime.GOARCH), "this platform has a name")
}
