package onprem_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// An address is asked for at the events that need one, and no others: whose credentials
// have ended can still run hooks.
func TestAddressIsMadeOnlyWhereItIsNeeded(t *testing.T) {
	s := sshtest.New(t)
	_, hosts := over(t, s, access(t, s), 1)
	j := job(t, t.TempDir(), "one")
	toInstall(t, hosts[0], j)
	hosts[0].(*onprem.SSH).Fetch = true
	b := *j.Bundle
	b.Presign = func(context.Context) (revision.Download, error) {
		return revision.Download{}, errors.New("the credentials have ended")
	}
	j.Bundle = &b
	require.Nil(t, doStep(t, hosts[0], j, lifecycle.AfterInstall))
	e := doStepOf(t, hosts[0], j, "d-2", lifecycle.Start)
	require.NotNil(t, e)
	require.Equal(t, lifecycle.RevisionUnavailable, e.Code)
	require.Contains(t, e.Message, "the credentials have ended")
}

// archived is a revision as an archive, and where it is to be had once release is closed.
// Begun tells when it is asked for.
func archived(t *testing.T, dir string, begun chan<- bool, release <-chan struct{}) revision.Download {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.AddFS(os.DirFS(dir)))
	require.NoError(t, w.Close())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- true
		<-release
		_, _ = w.Write(b.Bytes())
	}))
	t.Cleanup(s.Close)
	return revision.Download{URL: s.URL, SHA256: hexDigest(b.Bytes()), Size: int64(b.Len())}
}

// The credentials end and the connection is lost while a host fetches its revision. It
// goes on, so its outcome is asked for all the same.
func TestC3_AddressThatCannotBeMadeAgainDoesNotHideTheOutcome(t *testing.T) {
	s := sshtest.New(t)
	dir, hosts := over(t, s, access(t, s), 1)
	hosts[0].(*onprem.SSH).Fetch = true
	j := job(t, t.TempDir(), "one")
	begun, release := make(chan bool, 1), make(chan struct{})
	end := sync.OnceFunc(func() { close(release) })
	t.Cleanup(end)
	d := archived(t, j.Bundle.Dir, begun, release)
	made := 0
	b := *j.Bundle
	b.Presign = func(context.Context) (revision.Download, error) {
		if made++; made == 1 {
			return d, nil
		}
		end()
		return revision.Download{}, errors.New("the credentials have ended")
	}
	j.Bundle = &b
	done := make(chan error, 1)
	go func() {
		done <- hosts[0].Perform(t.Context(), target.Task{Job: j, Step: lifecycle.Step{Deployment: "d-1", Unit: hosts[0].Unit().ID, Event: lifecycle.Start}})
	}()
	<-begun
	s.Cut()
	require.NoError(t, <-done)
	require.Equal(t, 2, made)
	require.FileExists(t, filepath.Join(dir, "state", "host-1", "g", "d-1", ".prepared", "deployment-archive", "page.txt"))
}
