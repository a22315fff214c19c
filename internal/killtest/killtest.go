// Package killtest is for tests in which a controller dies at a write of its journal, as
// by kill -9 in a process of its own, or by an error within the test, and for sweeps over
// all such moments.
package killtest

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
)

// Journal is a journal whose controller dies at the nth write, from 1: "before" it or
// "after" it. Another word: never.
func Journal(j journal.Journal, when string, n int, die func() error) journal.Journal {
	count := func(now string) func([]lifecycle.Record) error {
		writes := 0
		return func([]lifecycle.Record) error {
			if writes++; when == now && writes == n {
				return die()
			}
			return nil
		}
	}
	return &journaltest.Tap{Journal: j, Before: count("before"), After: count("after")}
}

// Now ends this process, and does not return.
func Now() error {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		return err
	}
	select {} // until it has come
}

// Died reports whether a process that has ended was killed.
func Died(cmd *exec.Cmd) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Every is the step of a sweep: short is that of short mode, where nothing needs every
// moment.
func Every(long, short int) int {
	if testing.Short() {
		return short
	}
	return long
}
