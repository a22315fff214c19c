package cutover_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// settling is a fleet that counts how often it gives back what it holds.
type settling struct {
	*fake.Fleet
	settled int

	succeeded []bool
	err       error
	stop      func()
}

func (s *settling) Settle(_ context.Context, job *target.Job, succeeded bool) error {
	s.settled++
	s.succeeded = append(s.succeeded, succeeded)
	if job == nil || job.Group != "web" {
		return errors.New("settled without the job")
	}
	if s.stop != nil {
		s.stop()
	}
	return s.err
}

func settlingDeployment(t *testing.T) (*settling, *cutover.Deployment, *[]lifecycle.Record) {
	t.Helper()
	s := &settling{Fleet: fake.NewFleet(2)}
	records := &[]lifecycle.Record{}
	return s, &cutover.Deployment{Group: "web", Target: s, Revision: revision.Dir("examples/onprem/revisions/1"), Journal: &journal.Memory{},
		Rollback: rollback.Policy{OnFailure: true}, Observe: func(r lifecycle.Record) { *records = append(*records, r) }}, records
}

func TestSettle_AtTheEnd(t *testing.T) {
	s, d, _ := settlingDeployment(t)
	_, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, s.settled)
}

func TestSettle_AfterTheRollbackAndNotBefore(t *testing.T) {
	s, d, _ := settlingDeployment(t)
	_, err := d.Run(t.Context())
	require.NoError(t, err)
	d.Revision = revision.Dir("examples/onprem/revisions/2")
	s.On(fake.Match{Event: lifecycle.Install, Nth: 1}, fake.Fail(lifecycle.InstallFailed))
	res, err := d.Run(t.Context())
	require.NoError(t, err)
	require.NotNil(t, res.Rollback)
	require.Equal(t, 2, s.settled, "once per deployment that was not rolled back")
	require.Equal(t, []bool{true, true}, s.succeeded, "the rollback has succeeded")
	d.Rollback, d.AllowQuarantined = rollback.Policy{}, true
	s.On(fake.Match{Event: lifecycle.ApplicationStart}, fake.Fail(lifecycle.ScriptFailed))
	_, err = d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, false}, s.succeeded)
}

func TestSettle_WhatCannotBeGivenBackIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, records := settlingDeployment(t)
		s.err = errors.New("not today")
		res, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, "Succeeded", string(res.Status))
		require.Equal(t, 4, s.settled, "it was asked again and again")
		note := (*records)[len(*records)-2]
		require.Equal(t, lifecycle.Noted, note.Kind)
		require.True(t, strings.Contains(string(note.Data), "not today"))
	})
}

// Cut off while it gives things back, the deployment has not ended: who resumes it
// asks again.
func TestSettle_AgainAfterACrash(t *testing.T) {
	s, d, _ := settlingDeployment(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	_, err := d.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	s.stop = nil
	res, err := d.Resume(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, "Succeeded", string(res.Status))
	require.Equal(t, 2, s.settled)
}
