package ec2_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/machines"
	"github.com/cutover-deploy/cutover/internal/awsfake/ssm"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/ec2"
)

// The test's own executable is the agent on the hosts.
func TestMain(m *testing.M) {
	agent.Main()
	os.Exit(m.Run())
}

// served is a [ec2.Store] on a web server of this machine.
type served struct {
	mu    sync.Mutex
	files map[string][]byte
	url   string
	got   map[string]int // requests by kind
}

func newServed(t *testing.T) *served {
	s := &served{files: map[string][]byte{}, got: map[string]int{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *served) Put(_ context.Context, name string, content io.ReadSeeker) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[name] == nil {
		data, err := io.ReadAll(content)
		if err != nil {
			return "", err
		}
		s.files[name] = data
	}
	return s.url + "/" + name, nil
}

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	data, ok := s.files[strings.TrimPrefix(r.URL.Path, "/")]
	s.got[strings.Split(r.URL.Path, "/")[1]]++
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// real is a fleet whose hosts are processes of this machine.
type real struct {
	api   *awsfake.API
	world *machines.World
	run   *ssm.SSM
	store *served
	reach *ec2.SSM
	root  string
	ids   []string
}

const mark = "@CUTOVER-HOST@"

// meant makes the script of a command the one of a host. With the race detector programs
// sleep for a second at their end unless they are told not to.
func meant(host, script string) string {
	return "export GORACE='" + os.Getenv("GORACE") + "'\n" + strings.Replace(script, mark, host, 1)
}

func newReal(t *testing.T, n int) *real {
	t.Helper()
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED agents by Run Command: there is no %s here", tool)
		}
	}
	root, err := os.MkdirTemp("", "ec2") // short: there are sockets in it
	require.NoError(t, err)
	r := &real{api: &awsfake.API{}, world: &machines.World{}, store: newServed(t), root: root}
	r.run = ssm.New(r.api, ssm.Shell(meant))
	r.run.Known = r.world.Up
	for range n {
		r.add(t, r.world.Launch("eu-central-1a", map[string]string{"role": "web"}))
	}
	r.reach = r.newReach()
	t.Cleanup(func() {
		r.run.Close()
		waitForAgents(t, root)
		os.RemoveAll(root)
	})
	return r
}

// add makes a place for a host.
func (r *real) add(t *testing.T, id string) {
	require.NoError(t, os.MkdirAll(filepath.Join(r.root, id, "root"), 0o755))
	r.ids = append(r.ids, id)
}

func (r *real) newReach() *ec2.SSM {
	return &ec2.SSM{Client: sdk.NewFromConfig(r.api.Config()), Store: r.store, Dir: filepath.Join(r.root, mark, "s"),
		Agent: agent.Start{Root: filepath.Join(r.root, mark, "root"), Allow: []string{r.root}}, Gather: 50 * time.Millisecond, Poll: 200 * time.Millisecond}
}

// waitForAgents waits until the agents' processes have ended: nobody needs them any
// more.
func waitForAgents(t *testing.T, root string) {
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		out, _ := exec.Command("sh", "-c", "ls -d /proc/[0-9]*/exe | while read p; do readlink $p; done").Output()
		if !strings.Contains(string(out), root) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("agents are still running")
}

func (r *real) fleet() *ec2.Fleet {
	return &ec2.Fleet{Selection: webTag, Instances: direct{r.world}, Reach: r.reach}
}

// revisionOf writes a revision whose hooks count their runs in the host's directory.
func revisionOf(t *testing.T, page string, hook string) string {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"appspec.yml": "version: 0.0\nos: linux\nfiles:\n  - source: page.txt\n    destination: /srv/app\nhooks:\n  AfterInstall:\n    - location: hook.sh\n      timeout: 60\n",
		"hook.sh":     "#!/bin/sh\necho $DEPLOYMENT_ID >> $CUTOVER_ROOT/runs\n" + hook,
		"page.txt":    page,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o700))
	require.NoError(t, os.Symlink("page.txt", filepath.Join(dir, "link")))
	// What no archive may bring, a directory may.
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "outside")))
	require.NoError(t, os.Chmod(filepath.Join(dir, "page.txt"), 0o666))
	require.NoError(t, os.Chmod(filepath.Join(dir, "empty"), 0o1777|fs.ModeSticky))
	return dir
}

func (r *real) read(t *testing.T, id, name string) string {
	data, err := os.ReadFile(filepath.Join(r.root, id, "root", name))
	require.NoError(t, err)
	return string(data)
}

func (r *real) deployment(t *testing.T, dir string) *cutover.Deployment {
	return &cutover.Deployment{Group: "web", Revision: revision.Dir(dir), Target: r.fleet(), Strategy: strategy.AllAtOnce(),
		Rollback: rollback.Policy{OnFailure: true}, Journal: &journal.Memory{}, WorkDir: t.TempDir()}
}

// A fleet is deployed to by Run Command: real agents, started from the test's own
// executable, fetched once per host.
func TestSSMRealAgents(t *testing.T) {
	t.Parallel()
	r := newReal(t, 3)
	d := r.deployment(t, revisionOf(t, "one", "exit 0"))
	res, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Succeeded", string(res.Status), "%+v", res.Units[0].Failure)
	for _, id := range r.ids {
		require.Equal(t, "one", r.read(t, id, "srv/app/page.txt"))
		require.Equal(t, res.Deployment+"\n", r.read(t, id, "runs"))
	}
	require.Less(t, r.api.Counts()["SSM.SendCommand"], 3*len(lifecycle.InPlace.Events()), "hosts share commands")
	require.Equal(t, 1, r.store.got["agents"]/len(r.ids), "the agent is fetched once per host")

	// The next revision fails its hook and prints more than a list holds.
	d.Revision = revision.Dir(revisionOf(t, "two", "head -c 9000 /dev/zero | tr '\\0' x; exit 3"))
	d.Target = r.fleet()
	res, err = d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Failed", string(res.Status))
	require.Equal(t, lifecycle.ScriptFailed, res.Units[0].Failure.Code, "%+v", res.Units[0].Failure)
	require.Equal(t, 3, res.Units[0].Failure.Exit)
	require.NotNil(t, res.Rollback)
	require.Equal(t, "Succeeded", string(res.Rollback.Status), "%+v", res.Rollback)
	require.Equal(t, "one", r.read(t, r.ids[0], "srv/app/page.txt"))
}

// C7: a command that is delivered twice is done once; C9: one whose reply is lost too.
func TestC7_CommandsAreRepeated(t *testing.T) {
	t.Parallel()
	r := newReal(t, 2)
	r.api.Inject(func(c awsfake.Call) awsfake.Fault {
		if c.Operation == "SendCommand" && c.N%2 == 0 {
			return awsfake.LostReply
		}
		return awsfake.NoFault
	})
	d := r.deployment(t, revisionOf(t, "one", "exit 0"))
	res, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Succeeded", string(res.Status), "%+v", res.Units[0].Failure)
	for _, id := range r.ids {
		require.Equal(t, res.Deployment+"\n", r.read(t, id, "runs"))
	}
}

var _ target.Host = fakeHost{}
