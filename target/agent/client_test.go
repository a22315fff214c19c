package agent

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// A host whose disk is full says so in the middle of a transfer. The rest is not sent.
func TestC20_WhatNobodyWantsAnyMoreIsNotSent(t *testing.T) {
	dir := t.TempDir()
	noise := make([]byte, 32<<20)
	x := uint32(1)
	for i := range noise {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), noise, 0o644))
	b, err := revision.Dir(dir).Open(t.Context(), "")
	require.NoError(t, err)

	ours, theirs := net.Pipe()
	received := make(chan int)
	go func() { // the host
		host := wire.NewConn(theirs, theirs)
		n, said := 0, false
		for {
			f, err := host.Read()
			switch {
			case err != nil:
				received <- n
				return
			case f.Kind == wire.KindHello:
				_ = host.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: "d/022"})
			case f.Kind == wire.KindPerform:
				go func() { _ = host.Send(wire.KindWant, f.ID, wire.Want{Files: [][2]int{{0, 1}}}) }()
			case f.Kind == wire.KindData && !said:
				said = true
				go func() {
					_ = host.Send(wire.KindDone, f.ID, wire.Answer{Failure: &lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "make room"}})
				}()
			}
			n += len(f.Payload)
		}
	}()
	c, err := Connect(t.Context(), ours, Start{Digest: "d"})
	require.NoError(t, err)
	err = c.Perform(t.Context(), target.Task{Step: lifecycle.Step{Deployment: "d-1", Event: lifecycle.Start}, Job: &target.Job{Group: "g", Bundle: b}}, nil)
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	require.True(t, strings.HasSuffix(e.Message, "make room"))
	require.NoError(t, c.Close())
	require.Less(t, <-received, len(noise)/2)
}
