//go:build linux

package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
	"github.com/stretchr/testify/require"
)

// wired is a connection to an agent's process, as SSH would give one.
type wired struct {
	*bufio.Reader
	io.WriteCloser
	cmd  *exec.Cmd
	sent atomic.Int64
}

func (w *wired) Write(p []byte) (int, error) {
	w.sent.Add(int64(len(p)))
	return w.WriteCloser.Write(p)
}

func (w *wired) Close() error { return w.WriteCloser.Close() }

// cut ends the connection at the far end, as a broken network does.
func (w *wired) cut() { _ = w.cmd.Process.Kill() }

// remote starts this program as agent of the box.
func (b *box) remote() (*Client, *wired) { return b.remoteAs(strings.Repeat("a", 64)) }

// remoteAs is the agent of the build with that digest.
func (b *box) remoteAs(digest string) (*Client, *wired) {
	b.t.Helper()
	s := Start{Digest: digest, Root: b.root, Grace: time.Second}
	w := b.serve(s)
	line, err := w.ReadString('\n')
	require.NoError(b.t, err)
	require.True(b.t, IsBanner(line), line)
	c, err := Connect(b.t.Context(), w, s)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = c.Close() })
	return c, w
}

func (b *box) serve(s Start) *wired {
	b.t.Helper()
	self, err := os.Executable()
	require.NoError(b.t, err)
	cmd := exec.Command(self, s.Args(b.agent.Dir)...)
	in, err := cmd.StdinPipe()
	require.NoError(b.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b.t, err)
	cmd.Stderr = os.Stderr
	require.NoError(b.t, cmd.Start())
	b.t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait(); b.noAgentStays() })
	return &wired{Reader: bufio.NewReader(out), WriteCloser: in, cmd: cmd}
}

// noAgentStays waits until the process that does the steps has ended.
func (b *box) noAgentStays() {
	b.t.Helper()
	f, err := os.Open(filepath.Join(b.agent.Dir, agentsDir, daemonLock))
	require.NoError(b.t, err)
	defer f.Close()
	require.Eventually(b.t, func() bool { return tryLock(f) == nil }, 20*time.Second, 5*time.Millisecond, "the agent does not end")
}

func (b *box) task(job *target.Job, event lifecycle.Event) target.Task {
	return target.Task{Step: b.step("d-1", event), Job: job}
}

func (b *box) do(c *Client, deployment string, job *target.Job, events ...lifecycle.Event) error {
	b.t.Helper()
	for _, e := range events {
		if err := c.Perform(b.t.Context(), target.Task{Step: b.step(deployment, e), Job: job}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (b *box) appears(name string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return exists(filepath.Join(b.root, name)) }, 20*time.Second, 5*time.Millisecond)
}

func (b *box) touch(name string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(filepath.Join(b.root, name), nil, 0o644))
}

// untilGo is a script that waits for the file go.
const untilGo = `: > "$CUTOVER_ROOT/begun"; until [ -e "$CUTOVER_ROOT/go" ]; do sleep 0.01; done`

var upToInstall = []lifecycle.Event{lifecycle.Start, lifecycle.DownloadBundle, lifecycle.Install}

func TestAgentOfItsOwnProcessDeploys(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a")})
	c, _ := b.remote()
	require.NoError(t, b.do(c, "d-1", job, lifecycle.InPlace.Events()...))
	require.Equal(t, "1", b.installed("a"))
	require.Equal(t, []string{"AfterInstall a"}, b.trace())
}

// safe is a buffer that may be read meanwhile.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *safe) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// watched begins AfterInstall and waits until its script, which waits for the file go, is
// seen to have printed something.
func (b *box) watched(c *Client, job *target.Job, printed string) (task target.Task, watch *Watch, out *safe, done chan error) {
	b.t.Helper()
	task, watch, out, done = b.task(job, lifecycle.AfterInstall), &Watch{}, &safe{}, make(chan error)
	task.Output = out
	go func() { done <- c.Perform(b.t.Context(), task, watch) }()
	b.appears("begun")
	require.Eventually(b.t, func() bool { return strings.Contains(out.String(), printed) }, 20*time.Second, 5*time.Millisecond, "output comes while the script runs")
	return task, watch, out, done
}

func TestC3_LostConnectionLosesNothing(t *testing.T) {
	b := newBox(t)
	talking := strings.Replace(untilGo, "do ", "do echo tick; ", 1)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", "echo first", talking, "echo second")})
	c, w := b.remote()
	require.NoError(t, b.do(c, "d-1", job, upToInstall...))

	task, watch, out, done := b.watched(c, job, "first")
	w.cut()
	require.ErrorIs(t, <-done, ErrLost)

	c, _ = b.remote()
	before := out.String()
	go func() { done <- c.Perform(t.Context(), task, watch) }()
	require.Eventually(t, func() bool { return out.String() != before }, 20*time.Second, 5*time.Millisecond, "it is followed again")
	b.touch("go")
	require.NoError(t, <-done)
	require.Equal(t, []string{"AfterInstall a"}, b.trace(), "the hook ran once")
	require.Equal(t, 1, strings.Count(out.String(), "first"), "what was seen does not come again: %s", out)
	require.Contains(t, out.String(), "second")
}

// What a script prints while nobody listens is there for who comes back after its end:
// all of it for a new controller, and what was not seen for one that has seen some.
func TestC3_OutputIsKeptWhenNobodyListens(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{
		"appspec.yml": spec("BeforeInstall", "location: b.sh", "AfterInstall", "location: a.sh", "ApplicationStart", "location: b.sh"), "app/a": "1",
		"a.sh": script("a", "echo first", untilGo, "echo second"), "b.sh": script("b", "echo another"),
	})
	c, w := b.remote()
	require.NoError(t, b.do(c, "d-1", job, lifecycle.Start, lifecycle.DownloadBundle, lifecycle.BeforeInstall, lifecycle.Install))
	task, watch, out, done := b.watched(c, job, "first")
	w.cut()
	require.ErrorIs(t, <-done, ErrLost)
	b.touch("go")
	b.noAgentStays()

	c, _ = b.remote()
	require.NoError(t, b.do(c, "d-1", job, lifecycle.ApplicationStart), "the log goes on")
	require.NoError(t, c.Perform(t.Context(), task, watch))
	all := &safe{}
	task.Output = all
	require.NoError(t, c.Perform(t.Context(), task, nil))
	require.Equal(t, all.String(), out.String(), "nothing is missing and nothing comes twice")
	require.Regexp(t, `(?s)^\S+ \S+ LifecycleEvent - AfterInstall\n.*first.*second`, out.String())
	require.NotContains(t, out.String(), "another")
	require.Equal(t, []string{"BeforeInstall b", "AfterInstall a", "ApplicationStart b"}, b.trace())
}

// An event that goes on after its agent was killed goes on in what it prints, too.
func TestC6_OutputGoesOnAfterAKilledAgent(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{
		"appspec.yml": spec("AfterInstall", "location: a.sh", "AfterInstall", "location: b.sh"), "app/a": "1",
		"a.sh": script("a", "echo first"), "b.sh": script("b", "echo second", untilGo),
	})
	job.RerunInterrupted = true
	c, _ := b.remote()
	require.NoError(t, b.do(c, "d-1", job, upToInstall...))
	task, watch, out, done := b.watched(c, job, "second")
	require.NoError(t, syscall.Kill(c.pid, syscall.SIGKILL))
	require.ErrorIs(t, <-done, ErrLost)
	b.touch("go")

	c, _ = b.remote()
	require.NoError(t, c.Perform(t.Context(), task, watch))
	require.Equal(t, 1, strings.Count(out.String(), "first"), "%s", out)
	require.Equal(t, 2, strings.Count(out.String(), "second"), "it ran twice: %s", out)
	all := &safe{}
	task.Output = all
	require.NoError(t, c.Perform(t.Context(), task, nil))
	require.Equal(t, all.String(), out.String())
}

// Of much output the end is kept for those who come late.
func TestEndOfMuchOutputIsKept(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", "head -c 3000000 /dev/zero | tr '\\0' x", "echo", "echo last")})
	c, _ := b.remote()
	require.NoError(t, b.do(c, "d-1", job, append(slices.Clone(upToInstall), lifecycle.AfterInstall)...))
	out := &safe{}
	task := b.task(job, lifecycle.AfterInstall)
	task.Output = out
	require.NoError(t, c.Perform(t.Context(), task, nil))
	require.True(t, strings.HasSuffix(out.String(), "[stdout]last\n"))
}

func TestC9_OutcomeIsKeptWhenNobodyListens(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", untilGo, "echo no good", "exit 7")})
	c, w := b.remote()
	require.NoError(t, b.do(c, "d-1", job, upToInstall...))
	go func() { _ = c.Perform(t.Context(), b.task(job, lifecycle.AfterInstall), nil) }()
	b.appears("begun")
	w.cut()
	b.touch("go")
	b.noAgentStays() // it has ended by itself

	c, _ = b.remote()
	err := c.Perform(t.Context(), b.task(job, lifecycle.AfterInstall), nil)
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, lifecycle.ScriptFailed, e.Code)
	require.Equal(t, 7, e.Exit)
	require.Contains(t, e.Log, "no good")
	require.Equal(t, []string{"AfterInstall a"}, b.trace())
}

func TestC6_KilledAgentIsAnInterruptedStep(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", `echo $$ > "$CUTOVER_ROOT/pid"`, untilGo)})
	c, _ := b.remote()
	require.NoError(t, b.do(c, "d-1", job, upToInstall...))
	done := make(chan error)
	go func() { done <- c.Perform(t.Context(), b.task(job, lifecycle.AfterInstall), nil) }()
	b.appears("begun")
	require.NoError(t, syscall.Kill(c.pid, syscall.SIGKILL))
	require.ErrorIs(t, <-done, ErrLost)

	c, _ = b.remote()
	err := c.Perform(t.Context(), b.task(job, lifecycle.AfterInstall), nil)
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, lifecycle.Interrupted, e.Code)
	require.False(t, alive(b.pid("pid")), "what the script had left running was ended")
}

// What another process of the host prints is there for who waits for it.
func TestOutputOfAStepThatAnotherProcessDoes(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", "echo first", untilGo, "echo second")})
	c, _ := b.remote()
	require.NoError(t, b.do(c, "d-1", job, upToInstall...))
	done, all := make(chan error, 2), &safe{}
	go func() { done <- b.agent.Perform(t.Context(), b.task(job, lifecycle.AfterInstall)) }()
	b.appears("begun")
	task := b.task(job, lifecycle.AfterInstall)
	task.Output = all
	go func() { done <- c.Perform(t.Context(), task, nil) }()
	b.touch("go")
	require.NoError(t, errors.Join(<-done, <-done))
	require.Regexp(t, `(?s)first.*second`, all.String())
}

func TestAbandonedStepGoesOn(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", untilGo)})
	c, _ := b.remote()
	require.NoError(t, b.do(c, "d-1", job, upToInstall...))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the caller has left")
	done := make(chan error)
	go func() { done <- c.Perform(ctx, b.task(job, lifecycle.AfterInstall), nil) }()
	b.appears("begun")
	cancel(why)
	require.Equal(t, why, <-done)
	b.touch("go")
	require.NoError(t, b.do(c, "d-1", job, lifecycle.AfterInstall))
	require.Equal(t, []string{"AfterInstall a"}, b.trace())
}

func TestAgentOfAnotherBuildFinishesAndMakesRoom(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: a.sh", "ApplicationStart", "location: a.sh"), "app/a": "1", "a.sh": script("a", untilGo)})
	old, w := b.remote()
	require.NoError(t, b.do(old, "d-1", job, upToInstall...))
	go func() { _ = old.Perform(t.Context(), b.task(job, lifecycle.AfterInstall), nil) }()
	b.appears("begun")
	w.cut()

	connected := make(chan *Client)
	go func() { c, _ := b.remoteAs(strings.Repeat("b", 64)); connected <- c }()
	select {
	case <-connected:
		t.Fatal("the old agent was not waited for")
	case <-time.After(100 * time.Millisecond): // nothing happens, which cannot be seen sooner
	}
	b.touch("go")
	c := <-connected
	require.NotEqual(t, old.pid, c.pid)
	require.NoError(t, b.do(c, "d-1", job, lifecycle.AfterInstall, lifecycle.ApplicationStart))
	require.Equal(t, []string{"AfterInstall a", "ApplicationStart a"}, b.trace())
}

func TestIdleControllerIsLeftForAnotherBuild(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec(), "app/a": "1"})
	old, _ := b.remote()
	require.NoError(t, b.do(old, "d-1", job, lifecycle.Start))
	c, _ := b.remoteAs(strings.Repeat("b", 64))
	<-old.Ended()
	require.ErrorIs(t, b.do(old, "d-1", job, lifecycle.DownloadBundle), ErrLost)
	require.NoError(t, b.do(c, "d-1", job, lifecycle.DownloadBundle, lifecycle.Install))
}

func TestOtherVersionIsRefusedWithReasons(t *testing.T) {
	b := newBox(t)
	s := Start{Digest: strings.Repeat("a", 64)}
	w := b.serve(s)
	_, err := w.ReadString('\n')
	require.NoError(t, err)
	conn := wire.NewConn(w, w)
	require.NoError(t, conn.Send(wire.KindHello, 0, wire.Hello{Version: 99, Digest: s.identity(), Settings: s.settings()}))
	f, err := conn.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindRefuse, f.Kind)
	require.Contains(t, string(f.Payload), "version 99")
	_, err = conn.Read()
	require.ErrorIs(t, err, io.EOF)
}

func TestStateDirectoryWithALongName(t *testing.T) {
	b := newBox(t)
	b.agent.Dir = filepath.Join(filepath.Dir(b.agent.Dir), strings.Repeat("x", 120))
	socket := socketPath(b.agent.Dir)
	require.LessOrEqual(t, len(socket), maxSocketPath)
	job := b.newJob(files{"appspec.yml": spec(), "app/a": "1"})
	one, _ := b.remote()
	two, _ := b.remote()
	require.NoError(t, b.do(one, "d-1", job, lifecycle.Start))
	require.NoError(t, b.do(two, "d-1", job, lifecycle.DownloadBundle, lifecycle.Install))
	require.Equal(t, one.pid, two.pid)
	t.Cleanup(func() { require.NoDirExists(t, filepath.Dir(socket)) })
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
	b.noAgentStays()
}

// The folder of a socket in /tmp could have been made by anybody. Nobody in it is believed,
// and the controller hears at once why the agent does not start.
func TestSocketOfAnotherAccountIsNotBelieved(t *testing.T) {
	b := newBox(t)
	b.agent.Dir = filepath.Join(filepath.Dir(b.agent.Dir), strings.Repeat("y", 120))
	socket := socketPath(b.agent.Dir)
	require.NoError(t, os.Mkdir(filepath.Dir(socket), 0o777))
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(socket)) })
	require.NoError(t, os.Chmod(filepath.Dir(socket), 0o777))
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			t.Error("somebody has connected to it")
			_ = c.Close()
		}
	}()
	s := Start{Digest: strings.Repeat("a", 64)}
	w := b.serve(s)
	_, err = w.ReadString('\n')
	require.NoError(t, err)
	_, err = Connect(t.Context(), w, s)
	require.ErrorContains(t, err, "is not a directory that only this account can use")
}

func TestRequestThatIsTooLongIsRefusedAndNotLost(t *testing.T) {
	b := newBox(t)
	job := b.newJob(files{"appspec.yml": spec(), "app/a": "1"})
	job.Env = []string{"X=" + strings.Repeat("x", wire.MaxFrame)}
	c, _ := b.remote()
	err := b.do(c, "d-1", job, lifecycle.Start)
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.NotErrorIs(t, err, ErrLost)
	require.Contains(t, e.Message, "longer than a frame")
}

func TestOldExecutablesArePruned(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for i, c := range "0123456" {
		path := filepath.Join(dir, strings.Repeat(string(c), 64))
		require.NoError(t, os.WriteFile(path, nil, 0o700))
		require.NoError(t, os.Chtimes(path, now, now.Add(time.Duration(i)*time.Minute)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, daemonLock), nil, 0o600))
	pruneAgents(dir, strings.Repeat("0", 64))
	var left []string
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		left = append(left, e.Name()[:1])
	}
	require.Equal(t, []string{"0", "5", "6", "l"}, left)
}
