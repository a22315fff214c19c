//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/agent"
)

// The program under test is this test binary, started again as the program: it can be
// killed, and be the agent of the hosts.
const argsVar = "SSH_TEST_ARGS"

func TestMain(m *testing.M) {
	agent.Main()
	text, child := os.LookupEnv(argsVar)
	if !child {
		os.Exit(m.Run())
	}
	var args []string
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		panic(err)
	}
	os.Exit(run(untilSignal(), args, os.Stdout, os.Stderr))
}

// world is a host behind a server in this process, and a revision.
type world struct {
	t      *testing.T
	server *sshtest.Server
	dir    string
	args   []string // that say how to get there
}

func newWorld(t *testing.T) *world {
	s := sshtest.New(t)
	dir, err := os.MkdirTemp("", "ssh-example-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{t: t, server: s, dir: dir}
	// Where nothing else is said the hosts of one machine would share their state.
	host, port, _ := strings.Cut(s.Address, ":")
	inventory := "defaults: {user: me, port: " + port + "}\nhosts:\n  web-1: {address: " + host + ", tags: {role: web}}\n  db-1: {address: localhost, tags: {role: db}}\ngroups:\n  web: \"role=web\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fleet.yml"), []byte(inventory), 0o644))
	known := sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), s.Address, "localhost:"+port)
	w.args = []string{"-key", s.User.File, "-known-hosts", known, "-config", os.DevNull, "-journal", filepath.Join(dir, "journal"),
		"-state", filepath.Join(dir, "state"), "-root", filepath.Join(dir, "root"), "-inventory", filepath.Join(dir, "fleet.yml")}
	return w
}

func (w *world) revision(hook string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	spec := "version: 0.0\nos: linux\nfiles:\n  - source: page\n    destination: /srv\nhooks:\n  AfterInstall:\n    - location: hook.sh\n"
	for name, text := range map[string]string{"appspec.yml": spec, "page": "hello", "hook.sh": "#!/bin/sh\necho run >> $CUTOVER_ROOT/ran\n" + hook + "\n"} {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	return dir
}

func (w *world) command(args ...string) *exec.Cmd {
	w.t.Helper()
	self, err := os.Executable()
	require.NoError(w.t, err)
	text, err := json.Marshal(append(append([]string(nil), w.args...), args...))
	require.NoError(w.t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), argsVar+"="+string(text), "SSH_AUTH_SOCK=", "HOME="+w.dir)
	return cmd
}

// start runs the program to its end.
func (w *world) start(args ...string) (status int, stdout, stderr string) {
	w.t.Helper()
	cmd := w.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its status says it
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (w *world) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(w.dir, "root", name))
	return string(data)
}

func TestDeploysToAGroupOfTheInventory(t *testing.T) {
	w := newWorld(t)
	status, out, errs := w.start("-revision", w.revision(""), "-group", "web")
	require.Zero(t, status, out+errs)
	require.Contains(t, out, "web-1")
	require.NotContains(t, out, "db-1")
	require.Equal(t, "hello", w.read("srv/page"))
}

func TestRevisionsAfterOneAnotherTakeOneLogin(t *testing.T) {
	w := newWorld(t)
	first, second := w.revision(""), w.revision("echo second >> $CUTOVER_ROOT/ran")
	status, out, errs := w.start("-group", "web", "-revision", first, "-revision", second)
	require.Zero(t, status, out+errs)
	require.Equal(t, "run\nrun\nsecond\n", w.read("ran"))
	require.EqualValues(t, 1, w.server.Logins.Load())

	status, out, errs = w.start("-group", "web", "-revision", w.revision("exit 7"), "-revision", w.revision("echo third >> $CUTOVER_ROOT/ran"))
	require.Equal(t, 1, status, out+errs)
	require.NotContains(t, w.read("ran"), "third", "nothing is deployed after a failure")
}

func TestPlanConnectsToNothing(t *testing.T) {
	w := newWorld(t)
	status, out, errs := w.start("-revision", w.revision(""), "-plan", "-strategy", "half")
	require.Zero(t, status, out+errs)
	require.Contains(t, out, "web-1")
	require.Contains(t, out, "db-1")
	require.NoDirExists(t, filepath.Join(w.dir, "state"))
}

func TestFailureExitsWith1AndRecordsAreJSON(t *testing.T) {
	w := newWorld(t)
	status, out, errs := w.start("-revision", w.revision("echo does not work; exit 7"), "-tags", "role=web", "-json")
	require.Equal(t, 1, status, out+errs)
	for line := range strings.Lines(out) {
		var rec lifecycle.Record
		require.NoError(t, json.Unmarshal([]byte(line), &rec), line)
	}
	require.Contains(t, out, "does not work")
}

func TestKilledProgramIsResumed(t *testing.T) {
	w := newWorld(t)
	args := []string{"-group", "web", "-revision", w.revision(`until [ -e "$CUTOVER_ROOT/go" ]; do sleep 0.01; done`)}
	cmd := w.command(args...)
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return w.read("ran") != "" }, 30*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	status, _, errs := w.start(args...)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "-resume")
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "root", "go"), nil, 0o644))
	for range 2 { // the second time there is nothing to do
		status, out, errs := w.start(append(args, "-resume")...)
		require.Zero(t, status, out+errs)
		require.Equal(t, "run\n", w.read("ran"))
	}
}

// The keys, known hosts and addresses that the ssh command would use are used.
func TestUsualFilesOfSSH(t *testing.T) {
	w := newWorld(t)
	home := filepath.Join(w.dir, ".ssh")
	require.NoError(t, os.Mkdir(home, 0o700))
	for name, from := range map[string]string{"id_ed25519": w.args[1], "known_hosts": w.args[3]} {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(home, name), data, 0o600))
	}
	w.args = w.args[6:] // without -key, -known-hosts and -config
	for _, config := range []string{"", "Host nobody\n  User else\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(home, "config"), []byte(config), 0o600))
		status, out, errs := w.start("-revision", w.revision(": "+filepath.Base(t.TempDir())), "-group", "web")
		require.Zero(t, status, out+errs)
	}
}

func TestHostsWithWindowsAreRefused(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.dir, "fleet.yml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), "{role: db}", "{role: db}, os: windows", 1)), 0o644))
	status, _, errs := w.start("-revision", w.revision(""), "-plan")
	require.Equal(t, 2, status)
	require.Contains(t, errs, "fleet.yml:4: host db-1 has Windows")
	status, out, errs := w.start("-revision", w.revision(""), "-plan", "-group", "web")
	require.Zero(t, status, out+errs)
}

func TestUsageExitsWith2(t *testing.T) {
	w := newWorld(t)
	rev := w.revision("")
	for i, args := range [][]string{
		{}, {"-revision", ""}, {"-revision", rev, "-revision", ""}, {"-revision", rev, "-nonsense"}, {"-revision", rev, "-group", "none"}, {"-revision", rev, "-tags", "role=none"}, {"-revision", rev, "-tags", "role=\"x"},
		{"-revision", rev, "-strategy", "some"}, {"-revision", rev, "-plan", "-resume"}, {"-revision", rev, "-revision", rev, "-resume"}, {"-revision", rev, "-revision", rev, "-plan"}, {"-revision", rev + "/none"}, {"-revision", rev, "-name", "../x"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			status, out, errs := w.start(args...)
			require.Equal(t, 2, status, "%v: %s%s", args, out, errs)
			require.Contains(t, errs, "ssh: ")
		})
	}
}
