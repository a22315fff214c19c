package lifecycle

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// supervise waits for the script's end, whichever it is.
func (h *running) supervise(ctx context.Context) error {
	limit := time.NewTimer(h.s.timeout())
	defer limit.Stop()
	select {
	case h.state = <-h.done:
		h.exited = true
		return h.ended(ctx)
	case <-limit.C:
		n := h.end()
		return h.s.fail(h.env, ScriptTimedOut, fmt.Sprintf(
			"exceeded its time limit of %v and was ended, %s killed; raise %s if it needs longer",
			h.s.timeout(), processes(n), h.s.limitName()), nil)
	case <-ctx.Done():
		h.end()
		return context.Cause(ctx)
	}
}

// limitName is where a script's limit is set.
func (s *Script) limitName() string {
	if s.command {
		return "its limit"
	}
	return "timeout in the AppSpec"
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// ended judges a script that ended by itself: its own status decides, whoever
// else still holds its output.
func (h *running) ended(ctx context.Context) error {
	if h.state == nil || !h.state.Success() {
		h.out.wait(ctx, lastWords)
		h.end()
		return h.s.failed(h.env, h.state)
	}
	h.out.wait(ctx, min(lateOutput, h.s.grace()+killWait))
	h.letGo()
	h.group.leave()
	return nil
}

// letGo detaches from output that a process of the script still holds.
func (h *running) letGo() {
	held := h.out.finish()
	if len(held) == 0 {
		return
	}
	var names []string
	fate := "what it prints from now on is dropped"
	for _, s := range held {
		names = append(names, strings.Trim(s.mark, "[]"))
		if err := drain(s.r); err != nil {
			fate = fmt.Sprintf("it gets a broken pipe when it prints, since nobody could be set to read it (%v)", err)
		}
	}
	h.env.note(OutputsLeftOpen, fmt.Sprintf(
		"script %s ended with success, but a process that it left running holds its %s open; %s; send it to a file in the script",
		h.s.Location, strings.Join(names, " and "), fate))
}

// end ends everything of the script and returns how many processes that were.
func (h *running) end() int {
	if !h.gone(h.s.grace(), false) {
		h.gone(killWait, true)
	}
	h.out.wait(context.Background(), killWait/5)
	h.out.finish()
	return h.group.hits()
}

// gone asks what is left of the script to end, or kills it, and waits up to d until
// nothing is left.
func (h *running) gone(d time.Duration, kill bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		none := h.group.end(kill)
		if !h.exited {
			select {
			case h.state = <-h.done:
				h.exited = true
			default:
			}
		}
		if h.exited && none {
			return true
		}
		again := time.NewTimer(wait)
		select {
		case <-limit.C:
			again.Stop()
			return false
		case <-again.C:
		}
	}
}

// close gives back what the run held.
func (h *running) close() {
	h.group.release()
	h.out.closeAll()
}

// failed is the error of a script that exited with a status or by a signal.
func (s *Script) failed(env Env, state *os.ProcessState) error {
	if state == nil {
		return s.fail(env, Unknown, "its end could not be learned; nobody can say whether it did its work", nil)
	}
	if name, text := endSignal(state); name != "" {
		e := s.fail(env, ScriptFailed, "ended by "+name+text, nil)
		e.Signal = name
		return e
	}
	code := state.ExitCode()
	e := s.fail(env, ScriptFailed, fmt.Sprintf("exit status %d%s", code, exitHint(code)), nil)
	e.Exit = code
	return e
}

// exitHint explains the statuses that shells give a meaning.
func exitHint(code int) string {
	if runtime.GOOS == "windows" {
		return windowsExitHint(code)
	}
	switch code {
	case 126:
		return ": the shell found a command that it could not execute; check its mode and its interpreter"
	case 127:
		return ": the shell did not find a command; check its name, PATH, and the line ends of the script"
	}
	if name := signalName(code - 128); code > 128 && name != "" {
		return ": in a shell that means a command ended by " + name
	}
	return ""
}
