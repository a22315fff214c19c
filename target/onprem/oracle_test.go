//go:build linux

package onprem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// TestOracleOverSSH has the recorded cases of the official agent deployed by way of
// SSH, too: the tests of package agent do it, with this test program in the place of
// their own child process.
func TestOracleOverSSH(t *testing.T) {
	dir := os.Getenv("CUTOVER_ORACLE")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "oracle")
	}
	dir, err := filepath.Abs(dir)
	require.NoError(t, err)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("SKIPPED comparison with the official agent over SSH: no recorded runs in " + dir)
	}
	if testing.Short() {
		t.Skip("SKIPPED comparison with the official agent over SSH: -short")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("SKIPPED comparison with the official agent over SSH: there is no go command here")
	}
	work := t.TempDir()
	require.NoError(t, os.Chmod(work, 0o755))
	tests := filepath.Join(work, "agent.test")
	out, err := exec.Command(tool, "test", "-c", "-o", tests, "../agent").CombinedOutput()
	require.NoError(t, err, "%s", out)

	s := sshtest.New(t)
	s.Ended = endAgentOf // an agent in the process of the controller would be gone, too
	how := controllerOf{Address: s.Address, Key: s.User.File, Known: sshtest.KnownHosts(t, s.Host.Signer.PublicKey(), s.Address)}
	self, err := os.Executable()
	require.NoError(t, err)
	data, err := json.Marshal(how)
	require.NoError(t, err)
	file := filepath.Join(work, "how")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	program := filepath.Join(work, "program")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexport "+oracleVar+"="+file+"\nexec "+self+"\n"), 0o755))

	cmd := exec.Command(tests, "-test.run", "^TestOracleThroughAnotherProgram$")
	cmd.Env = append(os.Environ(), "CUTOVER_ORACLE="+dir, "CUTOVER_ORACLE_PROGRAM="+program)
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "with the same results")
	require.Greater(t, s.Sessions.Load(), int64(100), "it went over SSH")
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "oracle:") {
			fmt.Print("over SSH: ", line)
		}
	}
}

// oracleVar names the file that tells this program how to reach the host.
const oracleVar = "CUTOVER_TEST_ORACLE"

type controllerOf struct{ Address, Key, Known string }

// oracleOrder and oracleReport are those of the tests of package agent.
type oracleOrder struct {
	Dir, Root, Source, Work, Deploy, Report string
	Env, Events                             []string
	Keep, Umask                             int
	Job                                     target.Job
}

type oracleReport struct {
	Done     bool
	Events   []string
	Failed   string
	Failure  *lifecycle.Failure
	Problems []string
	Notes    []lifecycle.Note
}

func readJSON(file string, v any) {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		panic(err)
	}
}

// oracleChild does one deployment over SSH.
func oracleChild(file string) {
	var how controllerOf
	var o oracleOrder
	readJSON(file, &how)
	readJSON(os.Getenv("CUTOVER_AGENT_CHILD"), &o)
	a := onprem.SendPlain(&onprem.Access{Keys: []string{how.Key}, KnownHosts: []string{how.Known}, Umask: fs.FileMode(o.Umask)})
	if o.Umask == 0 {
		a.Umask = agent.NoUmask
	}
	linkAgent(o.Dir)
	h := &onprem.SSH{ID: "host", Address: how.Address, Access: a, State: o.Dir, Root: o.Root, Env: o.Env, Keep: o.Keep}
	r := &oracleReport{}
	save := func() {
		data, _ := json.Marshal(r)
		_ = os.WriteFile(o.Report+".new", data, 0o600)
		_ = os.Rename(o.Report+".new", o.Report)
	}
	o.perform(h, r, save)
	r.Done = true
	save()
	_ = h.Close()
}

// linkAgent saves the copying of this program for each case.
func linkAgent(dir string) {
	self, _ := os.Executable()
	data, err := os.ReadFile(self)
	if err != nil {
		return
	}
	_ = os.MkdirAll(dir, 0o711)
	_ = os.Mkdir(filepath.Join(dir, ".agents"), 0o700)
	_ = os.Link(self, filepath.Join(dir, ".agents", hexDigest(data)))
}

func (o *oracleOrder) perform(h *onprem.SSH, r *oracleReport, save func()) {
	var openErr error
	for i, event := range o.Events {
		r.Events = append(r.Events, event)
		save()
		e := lifecycle.Event(event)
		if (e == lifecycle.Start || e == lifecycle.DownloadBundle) && o.Job.Bundle == nil && openErr == nil {
			o.Job.Bundle, openErr = o.open()
		}
		err := openErr
		if err == nil {
			err = h.Perform(context.Background(), target.Task{Job: &o.Job, Note: func(n lifecycle.Note) { r.Notes = append(r.Notes, n) },
				Step: lifecycle.Step{Deployment: o.Deploy, Stage: i, Unit: "host", Event: e}})
		}
		if err == nil {
			continue
		}
		r.Failed, r.Failure = event, &lifecycle.Failure{Message: err.Error()}
		if e, ok := errors.AsType[*lifecycle.Error](err); ok {
			r.Failure = &e.Failure
		} else if _, ok := errors.AsType[*revision.Error](err); ok {
			r.Failure.Code = lifecycle.RevisionInvalid
		}
		if r.Failure.Code == lifecycle.Interrupted {
			// A script has killed the agent. In one process with it, this one would be gone.
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return
	}
}

func (o *oracleOrder) open() (*revision.Bundle, error) {
	src, err := revision.Local(o.Source)
	if err != nil {
		return nil, err
	}
	work := filepath.Join(o.Work, strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, err
	}
	return src.Open(context.Background(), work)
}

// endAgentOf kills the agent of the state directory in a command.
func endAgentOf(command string) {
	for _, word := range strings.Split(command, "'") {
		if !strings.HasPrefix(word, "/") {
			continue
		}
		for _, pid := range agentsOf(word) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
