//go:build unix

package ecs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	scaling "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	ecssdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	elbsdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/strategy"
)

// life is one life of a controller. The world is an emulator, which outlives it.
type life struct {
	URL, Dir, Scenario            string
	Blue, Green, Production, Test string // ARNs of the world
	When                          string // before or after; never: it is not killed
	N                             int    // of the write at which it is killed, from 1
}

// verdict is what a controller says at its end.
type verdict struct{ Status, Rollback strategy.Verdict }

func (v verdict) result() *cutover.Result {
	res := &cutover.Result{Status: v.Status}
	if v.Rollback != "" {
		res.Rollback = &cutover.Result{Status: v.Rollback}
	}
	return res
}

// TestLife is no test but a controller, in a process of its own: it makes sure of a
// deployment and writes down how that ended.
func TestLife(t *testing.T) {
	text, ok := os.LookupEnv(lifeEnv)
	if !ok {
		return
	}
	var it life
	require.NoError(t, json.Unmarshal([]byte(text), &it))
	cfg := (&moto.Server{URL: it.URL}).Config()
	w := &world{TB: t, ecs: ecssdk.NewFromConfig(cfg), elb: elbsdk.NewFromConfig(cfg), scaling: scaling.NewFromConfig(cfg),
		blue: it.Blue, green: it.Green, production: it.Production, test: it.Test, hooks: &hooks{}}
	w.dir = w.revision("web:2", "")
	j := killtest.Journal(&journal.File{Dir: filepath.Join(it.Dir, "journal")}, it.When, it.N, killtest.Now)
	res, err := resumed(t.Context(), scenarios[it.Scenario].overTheWire(t.Context(), w, j))
	require.NoError(t, err)
	end := verdict{Status: res.Status}
	if res.Rollback != nil {
		end.Rollback = res.Rollback.Status
	}
	said, err := json.Marshal(end)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(it.Dir, "end"), said, 0o600))
}

// live runs a controller to its end or its death.
func (it life) live(t *testing.T) (killed bool, end verdict) {
	t.Helper()
	args, err := json.Marshal(it)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLife$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), lifeEnv+"="+string(args), "TMPDIR="+it.Dir) // who is killed leaves files
	said, err := cmd.CombinedOutput()
	if killtest.Died(cmd) {
		return true, verdict{}
	}
	require.NoError(t, err, "%s", said)
	text, err := os.ReadFile(filepath.Join(it.Dir, "end"))
	require.NoError(t, err, "%s", said)
	require.NoError(t, json.Unmarshal(text, &end))
	return false, end
}

// front stands before an emulator and does what that leaves out: a task set is made once for
// a client token, and is made although the one who asked has died.
type front struct {
	emulator *httputil.ReverseProxy
	mu       sync.Mutex
	made     map[string]*httptest.ResponseRecorder // answers by client token
}

// before starts a front, and says where it is.
func before(t *testing.T, server *moto.Server) (*front, string) {
	t.Helper()
	to, err := url.Parse(server.URL)
	require.NoError(t, err)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	f := &front{emulator: httputil.NewSingleHostReverseProxy(to)}
	f.emulator.Transport = transport
	f.emulator.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }
	listening := httptest.NewServer(f)
	t.Cleanup(listening.Close)
	return f, listening.URL
}

func (f *front) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateTaskSet") {
		f.emulator.ServeHTTP(rw, r)
		return
	}
	var in struct{ ClientToken string }
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := f.made[in.ClientToken]
	if answer == nil {
		answer = httptest.NewRecorder()
		again := r.Clone(context.WithoutCancel(r.Context()))
		again.Body = io.NopCloser(bytes.NewReader(body))
		f.emulator.ServeHTTP(answer, again)
		f.made[in.ClientToken] = answer
	}
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes()) // nobody may be there to read it
}

// sets is how many task sets were made since the last time.
func (f *front) sets() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.made)
	f.made = map[string]*httptest.ResponseRecorder{}
	return n
}

// A controller is killed for real before and after every write to its journal, and another
// process goes on: the same end, read back through the plain SDK, and one task set made.
func TestKilledAtEveryWriteOverTheWire(t *testing.T) {
	for _, name := range []string{"canary", "failing after traffic"} {
		require.Contains(t, scenarios, name)
		for _, when := range []string{"before", "after"} {
			t.Run(name+", "+when, func(t *testing.T) {
				t.Parallel()
				server := moto.Start(t, "MOTO_ECS_SERVICE_RUNNING=1")
				f, at := before(t, server)
				kills := 0
				for n, more := 1, true; more; n++ {
					t.Run(fmt.Sprintf("write %d", n), func(t *testing.T) {
						w := emulated(t, server)
						_ = f.sets()
						more = false // where it fails
						more = life{URL: at, Dir: t.TempDir(), Scenario: name, Blue: w.blue, Green: w.green, Production: w.production, Test: w.test, When: when, N: n}.whole(t, w)
						require.Equal(t, 1, f.sets(), "task sets that were made")
					})
					if more {
						kills++
					}
				}
				require.Greater(t, kills, 12)
				t.Logf("killed %d times", kills)
			})
		}
	}
}

// whole kills a controller, lets another one go on, and looks how all ended. The last one,
// for which there is no such write, is not killed: the same is asked of it.
func (it life) whole(t *testing.T, w *world) (killed bool) {
	t.Helper()
	killed, end := it.live(t)
	if killed {
		it.When = "never"
		_, end = it.live(t)
	}
	scenarios[it.Scenario].ends(w, end.result())
	return killed
}
