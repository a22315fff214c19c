package lifecycle

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// markVar is the variable by which processes of a hook are recognised.
const markVar = "CUTOVER_HOOK"

// stepMark names a step of a doer in a form fit for file names and variables.
func stepMark(env Env) string {
	sum := sha256.Sum256([]byte(env.Scope + "\x00" + env.Step.Key()))
	return hex.EncodeToString(sum[:12])
}

// running is a script that was started.
type running struct {
	s     *Script
	env   Env
	out   *outputs
	group *group
	proc  *os.Process
	done  chan *os.ProcessState // takes the end of the script, once

	exited bool             // done was received
	state  *os.ProcessState // nil: not exited, or not known
}

// begin starts the script.
func (s *Script) begin(ctx context.Context, env Env, out sink) (*running, error) {
	if s.Account != nil && !s.Account.isOurs() && !canChangeAccount {
		_, err := LookupAccount(s.Account.Name)
		return nil, s.refused(env, err)
	}
	h := &running{s: s, env: env, done: make(chan *os.ProcessState, 1)}
	mark := stepMark(env) + "." + rand.Text()[:10]
	var err error
	if h.out, err = openOutputs(out); err != nil {
		return nil, s.fail(env, HookFailed, fmt.Sprintf("no output could be opened for it: %v", err), err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		h.out.closeAll()
		return nil, s.fail(env, HookFailed, fmt.Sprintf("the null device cannot be opened: %v", err), err)
	}
	defer null.Close()
	h.group = newGroup(mark, h.out)
	if err := h.start(ctx, null, mark); err != nil {
		h.out.closeAll()
		h.group.release()
		return nil, err
	}
	h.out.listen()
	go h.wait()
	return h, nil
}

// refused turns the refusal of an account into the script's error.
func (s *Script) refused(env Env, err error) error {
	e, _ := errors.AsType[*Error](err)
	return s.fail(env, RunAsInvalid, e.Message, nil)
}

// wait collects the script's end.
func (h *running) wait() {
	state, _ := h.proc.Wait()
	h.done <- state
}

// start runs the file, or the plain shell where the kernel does not know the
// file's format.
func (h *running) start(ctx context.Context, null *os.File, mark string) error {
	attr := &os.ProcAttr{
		Dir:   h.s.dir(),
		Env:   h.s.environ(h.env, mark),
		Files: append([]*os.File{null, h.out.stdout.w, h.out.stderr.w}, closedAbove2()...),
		Sys:   h.group.attr(h.s.Account),
	}
	how, err := launchOn(h.s.Path, h.s.args)
	if err != nil {
		return h.s.fail(h.env, ScriptNotExecutable, err.Error(), err)
	}
	setLine(attr.Sys, how.line)
	argv, shell := how.argv, plainShell == ""
	for try := 0; ; try++ {
		proc, err := os.StartProcess(argv[0], argv, attr)
		switch {
		case err == nil:
			return h.started(proc)
		case errors.Is(err, errExecFormat) && !shell && h.s.foreign() == "":
			h.env.note("", "script "+h.s.Location+" has no interpreter line; it is run by "+plainShell)
			argv, shell = append([]string{plainShell}, argv...), true
		case errors.Is(err, errTextBusy) && try < 50 && pause(ctx, 10*time.Millisecond):
			// A fork elsewhere in this process still holds the file open for
			// writing; it lets go as soon as it executes its program.
		case h.group.giveUp(attr.Sys):
			// The kernel may have refused the group rather than the program.
		default:
			return h.s.notStarted(h.env, err)
		}
	}
}

// started takes a process over. One that could not be put where all that it starts is
// found again does not run.
func (h *running) started(proc *os.Process) error {
	h.proc = proc
	err := h.group.started(proc.Pid)
	if err == nil {
		return nil
	}
	_ = proc.Kill()
	_, _ = proc.Wait()
	return h.s.fail(h.env, HookFailed, fmt.Sprintf("was not run, since its end could not have been seen to: %v", err), err)
}

// pause waits and reports whether it was left alone.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Script) dir() string {
	if s.Dir != "" {
		return s.Dir
	}
	return filepath.Dir(s.Path)
}

// environ is the script's whole environment.
func (s *Script) environ(env Env, mark string) []string {
	vars := append(slices.Clip(env.Vars), markVar+"="+mark)
	if s.Account != nil {
		vars = append(AccountEnv(s.Account, env.Vars), markVar+"="+mark)
	}
	return withSystem(vars)
}
