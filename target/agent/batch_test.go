//go:build linux

package agent

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/stretchr/testify/require"
)

// archived is a revision in an archive behind an address, and a job for it.
func (b *box) archived(f files) (*target.Job, revision.Download) {
	b.t.Helper()
	dir := b.bundle(f).Dir
	path := filepath.Join(b.t.TempDir(), "a.tgz")
	out, err := exec.Command("tar", "-czf", path, "-C", dir, ".").CombinedOutput()
	require.NoError(b.t, err, "%s", out)
	data, err := os.ReadFile(path)
	require.NoError(b.t, err)
	sum, err := hashFile(path)
	require.NoError(b.t, err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(data) }))
	b.t.Cleanup(s.Close)
	bundle, err := revision.Archive(path).Open(b.t.Context(), b.t.TempDir())
	require.NoError(b.t, err)
	job := b.newJob(nil)
	job.Bundle, job.Revision.Digest = bundle, bundle.Manifest.Digest()
	return job, revision.Download{URL: s.URL, SHA256: sum, Size: int64(len(data))}
}

// mailbox takes one batch and its result, as a bucket with presigned addresses does.
type mailbox struct {
	*httptest.Server
	batch  []byte
	mu     sync.Mutex
	result []byte
}

func newMailbox(t *testing.T, batch Batch) *mailbox {
	data, err := batch.Encode()
	require.NoError(t, err)
	m := &mailbox{batch: data}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(m.batch)
			return
		}
		body, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.result = body
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *mailbox) got() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.result
}

// give starts the command on the host.
func (b *box) give(m *mailbox) *exec.Cmd {
	b.t.Helper()
	self, err := os.Executable()
	require.NoError(b.t, err)
	cmd := exec.Command(self, mainName, "perform", b.agent.Dir, m.URL+"/batch?secret", m.URL+"/result?secret")
	cmd.Stderr = os.Stderr
	require.NoError(b.t, cmd.Start())
	b.t.Cleanup(b.noAgentStays)
	return cmd
}

func (b *box) batch(f files, events ...lifecycle.Event) Batch {
	job, d := b.archived(f)
	batch := Batch{Start: Start{Root: b.root}, Job: job, Fetch: &d, Key: []byte("sixteen bytes or more")}
	for _, e := range events {
		batch.Steps = append(batch.Steps, b.step("d-1", e))
	}
	return batch
}

func TestBatchIsDoneUpToTheFirstFailure(t *testing.T) {
	b := newBox(t)
	batch := b.batch(files{"appspec.yml": spec("AfterInstall", "location: a.sh", "ApplicationStart", "location: bad.sh"), "app/a": "1",
		"a.sh": script("a"), "bad.sh": script("bad", "exit 7")}, lifecycle.InPlace.Events()...)
	m := newMailbox(t, batch)
	require.NoError(t, b.give(m).Wait())
	r, err := OpenResult(m.got(), batch.Key)
	require.NoError(t, err)
	require.Empty(t, r.Error)
	last := r.Outcomes[len(r.Outcomes)-1]
	require.Equal(t, b.step("d-1", lifecycle.ApplicationStart).Key(), last.Key)
	require.Equal(t, 7, last.Failure.Exit)
	require.Equal(t, []string{"AfterInstall a", "ApplicationStart bad"}, b.trace())
	require.Equal(t, "1", b.installed("a"))
}

func TestC10_ResultOfAnotherKeyOrCutOffSaysNothing(t *testing.T) {
	key := bytes.Repeat([]byte("k"), minKey)
	data, err := sealResult(&Result{Outcomes: []Outcome{{Key: "x"}}}, key)
	require.NoError(t, err)
	_, err = OpenResult(data, key)
	require.NoError(t, err)
	_, err = OpenResult(data, bytes.Repeat([]byte("l"), minKey))
	require.ErrorContains(t, err, "not signed")
	_, err = OpenResult(bytes.Replace(data, []byte(`"x"`), []byte(`"y"`), 1), key)
	require.ErrorContains(t, err, "not signed")
	_, err = OpenResult(data[:len(data)-5], key)
	require.ErrorContains(t, err, "cannot be read")
	_, err = OpenResult(data, nil)
	require.Error(t, err)
}

// Systems Manager ends commands that take too long. The step goes on, and the same
// batch gets its outcome.
func TestC7_BatchThatWasKilledIsGivenAgain(t *testing.T) {
	b := newBox(t)
	batch := b.batch(files{"appspec.yml": spec("AfterInstall", "location: a.sh"), "app/a": "1", "a.sh": script("a", untilGo)}, lifecycle.InPlace.Events()...)
	m := newMailbox(t, batch)
	first := b.give(m)
	b.appears("begun")
	require.NoError(t, first.Process.Kill())
	require.Error(t, first.Wait())
	second := b.give(m)
	b.touch("go")
	require.NoError(t, second.Wait())
	r, err := OpenResult(m.got(), batch.Key)
	require.NoError(t, err)
	require.Len(t, r.Outcomes, len(lifecycle.InPlace.Events()))
	for _, o := range r.Outcomes {
		require.Nil(t, o.Failure, "%+v", o)
	}
	require.Equal(t, []string{"AfterInstall a"}, b.trace())
}

func TestBatchOfAnotherVersionOrWithoutKeyIsRefused(t *testing.T) {
	b := newBox(t)
	batch := b.batch(files{"appspec.yml": spec(), "app/a": "1"}, lifecycle.Start)
	batch.Key = nil
	_, err := batch.Encode()
	require.ErrorContains(t, err, "key")
	batch.Key = bytes.Repeat([]byte("k"), minKey)
	m := newMailbox(t, batch)
	m.batch = []byte(strings.Replace(string(m.batch), `"version":1`, `"version":9`, 1))
	var out bytes.Buffer
	code := command([]string{"perform", b.agent.Dir, m.URL, m.URL}, struct {
		io.ReadCloser
		io.Writer
	}{io.NopCloser(strings.NewReader("")), io.Discard}, &out)
	require.Equal(t, 1, code)
	require.Contains(t, out.String(), "version 9")
}
