package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// mainName is the first argument of a program that is to be an agent. Programs are
// searched for it before they are sent to a host: one that lacks it cannot be one.
const mainName = "cutover-agent"

// linked is in every program that calls Main.
const linked = "cutover-agent: Main is linked into this program, format 1"

// mainCalled says that this program has called Main, so that its executable can be
// started as an agent elsewhere. It is set once and tells about the program, not
// about any deployment.
var mainCalled atomic.Bool

// Main lets the program be an agent. Call it first in main:
//
//	func main() {
//		agent.Main()
//		…
//	}
//
// It returns at once, unless the program was started as an agent: then it is one,
// and ends the program. Drivers send the program's executable to a host and start
// it there; that is all the installation that a host needs. Without this call the
// executable would start over there what it does here, so drivers refuse to send
// a program that has not made it.
//
// The commands of an agent are described in PROTOCOL.md beside this file.
func Main() {
	mainCalled.Store(true)
	if len(os.Args) < 2 || os.Args[1] != mainName {
		return
	}
	debug.SetGCPercent(400) // an agent lives for a moment and mostly holds a few megabytes
	os.Exit(command(os.Args[2:], stdio{os.Stdin, os.Stdout}, os.Stderr))
}

// stdio is standard input and output as one stream.
type stdio struct {
	io.ReadCloser
	out *os.File
}

func (s stdio) Write(p []byte) (int, error) { return s.out.Write(p) }

// commands are what an agent can be told to do.
var commands = map[string]struct {
	args int // at least
	run  func(args []string, rw io.ReadWriteCloser) error
}{
	"serve":   {3, func(args []string, rw io.ReadWriteCloser) error { return relay(args[0], args[1], args[2], rw) }},
	"daemon":  {3, func(args []string, _ io.ReadWriteCloser) error { return daemon(args[0], args[1], args[2]) }},
	"install": {2, func(args []string, _ io.ReadWriteCloser) error { return installSelf(args[0], args[1]) }},
	"perform": {3, func(args []string, rw io.ReadWriteCloser) error { return performBatch(args[0], args[1], args[2], rw) }},
	"version": {0, func(_ []string, rw io.ReadWriteCloser) error { _, err := fmt.Fprintln(rw, linked); return err }},
}

func command(args []string, rw io.ReadWriteCloser, stderr io.Writer) int {
	err := errors.New("say what to do: serve, install or perform")
	if len(args) > 0 {
		c, known := commands[args[0]]
		switch {
		case !known:
			err = fmt.Errorf("unknown command %q", args[0])
		case len(args)-1 < c.args:
			err = fmt.Errorf("%s: too few arguments", args[0])
		default:
			err = c.run(args[1:], rw)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", mainName, err)
		return 1
	}
	return 0
}

// setUmask makes files come out the same whoever has logged in.
func setUmask(octal string) error {
	mask, err := strconv.ParseUint(octal, 8, 9)
	if err != nil {
		return fmt.Errorf("the umask %q is no octal number", octal)
	}
	umask(int(mask))
	return nil
}

// MainCalled reports whether this program has called [Main].
func MainCalled() bool { return mainCalled.Load() }

// Linked is a text that is in every executable whose program calls [Main] of this
// version of the library, and in no other.
func Linked() string {
	b := []byte(deknil) // linked itself must not be here
	slices.Reverse(b)
	return string(b)
}

const deknil = "1 tamrof ,margorp siht otni deknil si niaM :tnega-revotuc"

// IsBanner reports whether a line of output is the one with which an agent begins
// to talk.
func IsBanner(line string) bool {
	_, _, ok := wire.ParseBanner(line)
	return ok
}
