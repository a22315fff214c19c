package s3_test

import (
	"archive/zip"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/s3"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

const siteSpec = `version: 0.0
os: linux
files:
  - source: page.txt
    destination: /srv
file_exists_behavior: OVERWRITE
hooks:
  ValidateService:
    - location: check.sh
      timeout: 60
`

// site is a release whose hook ends with a status.
func site(t *testing.T, page, status string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range map[string]string{"appspec.yml": siteSpec, "page.txt": page, "check.sh": "#!/bin/sh\nexit " + status + "\n"} {
		h := &zip.FileHeader{Name: name}
		h.SetMode(0o755)
		m, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = m.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// Real hosts, real hooks: a release from S3 is replaced by a bad one under the same key
// and comes back, on a host that has forgotten it, by a process that has been told only
// whom to ask.
func TestADeploymentFromS3IsResumedAndRolledBack(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: the hooks are for a Unix shell")
	}
	s := newStore(t)
	root, logs := t.TempDir(), &journal.File{Dir: t.TempDir()}
	deployment := func(id string, src revision.Source) *cutover.Deployment {
		hosts, err := onprem.Locals(root, 2)
		require.NoError(t, err)
		return &cutover.Deployment{Group: "site", ID: id, Revision: src, Target: &target.Fleet{Hosts: hosts}, Strategy: strategy.AllAtOnce(),
			Rollback: rollback.Policy{OnFailure: true}, Journal: logs, WorkDir: t.TempDir()}
	}
	shown := func() string {
		text, err := os.ReadFile(filepath.Join(root, "host-1", "srv", "page.txt"))
		require.NoError(t, err)
		return string(text)
	}
	newest := s3.Object{Client: s.client(), Bucket: "b", Key: "site.zip"}
	s.put("b/site.zip", site(t, "one", "0"))
	res, err := deployment("d-1", newest).Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, res.Err())
	require.Equal(t, "one", shown())

	// The bad one is abandoned in the middle; meanwhile another is put into its place,
	// and the hosts lose what they have retained of the good one.
	s.put("b/site.zip", site(t, "bad", "7"))
	ctx, cancel := context.WithCancel(t.Context())
	bad := deployment("d-2", newest)
	bad.Observe = func(r lifecycle.Record) {
		if r.Step.Event == lifecycle.AfterInstall && r.Step.Unit == "host-1" {
			cancel()
		}
	}
	_, err = bad.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "bad", shown())
	s.put("b/site.zip", site(t, "three", "0"))
	forget(t, filepath.Join(root, "state"), "d-1")

	again := deployment("", nil)
	again.Sources = []revision.Opener{s3.Object{Client: s.client()}}
	res, err = again.Resume(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentFailed, res.Status)
	require.Equal(t, "s3://b/site.zip?versionId=v2", res.Revision.Location.String())
	require.NotNil(t, res.Rollback)
	require.NoError(t, res.Rollback.Err())
	require.Equal(t, "s3://b/site.zip?versionId=v1", res.Rollback.Revision.Location.String())
	require.Equal(t, "one", shown())
}

// forget removes what hosts have retained of a deployment.
func forget(t *testing.T, state, deployment string) {
	t.Helper()
	found := 0
	require.NoError(t, filepath.WalkDir(state, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == deployment && filepath.Base(filepath.Dir(path)) == "site" {
			found++
			require.NoError(t, os.RemoveAll(path))
			return filepath.SkipDir
		}
		return err
	}))
	require.Equal(t, 2, found)
}
