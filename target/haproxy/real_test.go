//go:build linux

package haproxy_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/haproxy"
	"github.com/cutover-deploy/cutover/target/onprem"
	"github.com/cutover-deploy/cutover/target/targettest"
)

// config has no retries and no second server to fall back on, so that every request
// to a server that is not there is an error. Checks bear with a busy machine: what they have
// to find is in service or not for good.
const config = `
global
    stats socket %[1]s/admin.sock mode 600 level admin
    stats socket %[2]s level admin
    maxconn 2000
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout check 10s
    retries 0
frontend front
    bind %[3]s
    default_backend web
backend web
    balance roundrobin
    option httpchk GET /health
%[4]s`

// free finds addresses of this machine that nobody listens on.
func free(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.2.1:0") // where no other test listens meanwhile
		if err != nil {                            // some systems have one such address only
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		require.NoError(t, err)
		defer l.Close() // all are held until all are found
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// started is a real HAProxy.
type started struct{ dir, admin, front string }

// start starts HAProxy in front of servers that are called host-1 and so on and are
// out of service.
func start(t *testing.T, servers []string) started {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		if strings.Contains(os.Getenv("CUTOVER_REQUIRE"), "haproxy") {
			t.Fatal("haproxy is required and not on the PATH")
		}
		t.Skip("SKIPPED: haproxy is not on the PATH: nothing was tried with a real one")
	}
	dir, err := os.MkdirTemp("", "hap") // paths of sockets must be short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ours := free(t, 2)
	var lines string
	for i, addr := range servers {
		lines += fmt.Sprintf("    server host-%d %s weight 100 check inter 100ms rise 2 fall 20 disabled\n", i+1, addr)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, config, dir, ours[0], ours[1], lines), 0o600))
	cmd := exec.Command(program, "-db", "-f", file)
	said, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // it was killed
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("haproxy said: %s", text)
		}
	})
	return started{dir, ours[0], ours[1]}
}

func (s started) traffic() *haproxy.Traffic {
	return &haproxy.Traffic{Sockets: []string{filepath.Join(s.dir, "admin.sock"), s.admin}, Interval: 20 * time.Millisecond, Drain: time.Minute, Healthy: time.Minute}
}

// web starts a server of this process that is told what to answer.
func web(t *testing.T, addr string, h http.Handler) *http.Server {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	s := &http.Server{Handler: h}
	go s.Serve(l) // until it is closed
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRealWaitsForRequestsAndChecks(t *testing.T) {
	addr := free(t, 1)[0]
	proxy := start(t, []string{addr})
	lb := proxy.traffic()
	require.Equal(t, lifecycle.Weight(0), weight(t, lb, "host-1"), "disabled in the configuration")

	lb.Healthy = 3 * time.Second
	err := lb.SetWeight(t.Context(), "host-1", 100)
	require.Equal(t, lifecycle.TrafficUnhealthy, codeOf(t, err))
	require.ErrorContains(t, err, "Connection refused")

	began, finish := make(chan bool), make(chan bool)
	web(t, addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- true
			<-finish
		}
		fmt.Fprint(w, "well")
	}))
	lb.Healthy = time.Minute
	for _, w := range []lifecycle.Weight{100, 100, 10, 100} {
		require.NoError(t, lb.SetWeight(t.Context(), "host-1", w))
		require.Equal(t, w, weight(t, lb, "host-1"))
	}

	answer := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + proxy.front + "/slow")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %s", resp.Status)
			}
		}
		answer <- err
	}()
	<-began
	lb.Drain = 500 * time.Millisecond
	err = lb.SetWeight(t.Context(), "host-1", 0)
	require.Equal(t, lifecycle.TimedOut, codeOf(t, err))
	require.ErrorContains(t, err, "1 requests")
	finish <- true
	require.NoError(t, <-answer, "it was not cut off")
	require.NoError(t, lb.SetWeight(t.Context(), "host-1", 0))
	require.Equal(t, lifecycle.Weight(0), weight(t, lb, "host-1"))

	resp, err := http.Get("http://" + proxy.front + "/")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "nobody serves")
}

func TestRealCutsRequestsOffWhenAsked(t *testing.T) {
	addr := free(t, 1)[0]
	proxy := start(t, []string{addr})
	lb := proxy.traffic()
	began, done := make(chan bool), make(chan struct{})
	defer close(done)
	web(t, addr, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			began <- true
			<-done
		}
	}))
	require.NoError(t, lb.SetWeight(t.Context(), "host-1", 100))
	answer := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + proxy.front + "/endless")
		if err != nil {
			answer <- 0
			return
		}
		resp.Body.Close()
		answer <- resp.StatusCode
	}()
	<-began
	lb.Drain, lb.Shutdown = 500*time.Millisecond, true
	require.NoError(t, lb.SetWeight(t.Context(), "host-1", 0))
	require.NotEqual(t, http.StatusOK, <-answer)
}

// The suite of targets, with the balancer in the middle.
func TestRealKeepsTheContractOfTraffic(t *testing.T) {
	addrs := free(t, 2)
	proxy := start(t, addrs)
	var sick [2]atomic.Bool
	for i, a := range addrs {
		web(t, a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if sick[i].Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
	}
	targettest.Run(t, func(t *testing.T) *targettest.Harness {
		lb := proxy.traffic()
		lb.Healthy = 10 * time.Second
		sick[0].Store(false)
		sick[1].Store(false)
		return &targettest.Harness{
			Target: &target.Fleet{Hosts: []target.Host{idle("host-1"), idle("host-2")}, Traffic: lb}, Traffic: lb,
			Events: lifecycle.InPlaceBalanced.Events(),
			Sick: func(unit string) {
				lb.Healthy = time.Second
				sick[int(unit[len(unit)-1]-'1')].Store(true)
			},
		}
	})
}

// In-place deployments of four web servers that are killed, not asked to end, while
// another process sends requests on fresh and on kept connections: none may fail, in
// a deployment that succeeds, one that fails, and its rollback.
func TestRealDeploymentDropsNoRequest(t *testing.T) {
	addrs := free(t, 4)
	proxy := start(t, addrs)
	dir := t.TempDir()
	hosts, err := onprem.Locals(dir, 4)
	require.NoError(t, err)
	for i, addr := range addrs {
		root := filepath.Join(dir, fmt.Sprintf("host-%d", i+1))
		require.NoError(t, os.MkdirAll(root, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, "addr"), []byte(addr), 0o644))
		t.Cleanup(func() { stopWeb(t, root) })
	}
	j := &journal.Memory{}
	deploy := func(version string) *cutover.Result {
		d := &cutover.Deployment{Group: "web", Journal: j, Strategy: strategy.HalfAtATime(), Rollback: rollback.Policy{OnFailure: true},
			Revision: revision.Dir(site(t, version)), Target: &target.Fleet{Hosts: hosts, Traffic: proxy.traffic()}}
		result, err := d.Run(t.Context())
		require.NoError(t, err)
		return result
	}
	require.Nil(t, deploy("one").Failure)

	stop := load(t, proxy.front)
	require.Nil(t, deploy("two").Failure)
	broken := deploy("broken")
	require.NotNil(t, broken.Failure)
	report := stop()

	t.Logf("%d requests, by version: %v", report.Requests, report.Versions)
	require.Empty(t, report.Failures)
	require.Greater(t, report.Versions["one"], 0)
	require.Greater(t, report.Versions["two"], 0)
	require.Zero(t, report.Versions["broken"], "it was never validated")
	for i := range addrs {
		require.Equal(t, lifecycle.Weight(100), weight(t, proxy.traffic(), fmt.Sprintf("host-%d", i+1)))
	}
}

// load starts another process that sends requests until it is stopped.
func load(t *testing.T, front string) (stop func() report) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), role+"=load", "ADDR="+front)
	end, err := cmd.StdinPipe()
	require.NoError(t, err)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	return func() (r report) {
		end.Close()
		require.NoError(t, cmd.Wait())
		require.NoError(t, json.Unmarshal([]byte(out.String()), &r), "%s", out.String())
		return r
	}
}
