//go:build linux

package onprem_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/internal/sshtest"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

// fleet is what another process needs to deploy to hosts with a real sshd.
type fleet struct {
	Dir, Control, Revision string
	Addresses              []string
	Login, Key, Known      string
	Resume                 bool
}

// realFleet starts n hosts.
func realFleet(t *testing.T, n int, config ...string) fleet {
	t.Helper()
	f := sshtest.NewFleet(t, n, config...)
	dir, err := os.MkdirTemp("", "sshd-")
	require.NoError(t, err)
	t.Cleanup(func() { endAgents(t, dir); _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	control := filepath.Join(dir, "control")
	require.NoError(t, os.Mkdir(control, 0o777))
	require.NoError(t, os.Chmod(control, 0o777))
	_, b := bundle(t, "one")
	return fleet{Dir: dir, Control: control, Revision: b.Dir, Addresses: f.Addresses, Login: f.Login, Key: f.User.File,
		Known: sshtest.KnownHosts(t, f.Host.Signer.PublicKey(), f.Addresses...)}
}

func (f fleet) hosts() (list []target.Host) {
	a := onprem.SendPlain(&onprem.Access{User: f.Login, Keys: []string{f.Key}, KnownHosts: []string{f.Known}})
	for i, address := range f.Addresses {
		id := fmt.Sprintf("host-%02d", i+1)
		list = append(list, &onprem.SSH{ID: id, Address: address, Access: a, State: filepath.Join(f.Dir, "state", id), Root: filepath.Join(f.Dir, id)})
	}
	return list
}

func (f fleet) deployment(hosts []target.Host) *cutover.Deployment {
	return &cutover.Deployment{
		Group: "web", Revision: revision.Dir(f.Revision), Target: &target.Fleet{Hosts: hosts}, Strategy: strategy.HalfAtATime(),
		Journal: &journal.File{Dir: filepath.Join(f.Dir, "journal")}, Env: []string{"CONTROL=" + f.Control},
	}
}

// ran counts how often each hook ran: once on each host, if all is well.
func (f fleet) ranOnce(t *testing.T, deployment string) {
	t.Helper()
	for i := range f.Addresses {
		for _, e := range hooked {
			file := fmt.Sprintf("runs-%s-host-%02d-%s", deployment, i+1, e)
			require.Equal(t, "run\n", read(t, f.Control, file), file)
		}
	}
}

func closeAll(hosts []target.Host) {
	for _, h := range hosts {
		_ = h.(*onprem.SSH).Close()
	}
}

func TestTwentyHostsWithARealSSHD(t *testing.T) {
	f := realFleet(t, 20)
	hosts := f.hosts()
	defer closeAll(hosts)
	r, err := f.deployment(hosts).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, r.Status)
	f.ranOnce(t, r.Deployment)
	for i := range f.Addresses {
		require.Equal(t, "one", read(t, f.Dir, fmt.Sprintf("host-%02d/srv/app/page.txt", i+1)))
	}
}

// A controller is killed while hooks run on half of the hosts. The next one goes on,
// and no hook has run twice.
func TestKilledControllerOfTwentyHosts(t *testing.T) {
	f := realFleet(t, 20)
	first := f.controller(t)
	slow := []string{"AfterInstall", "ValidateService"}
	for _, e := range slow {
		// The hooks of this event wait until they are let go.
		require.NoError(t, os.WriteFile(filepath.Join(f.Control, "hold-"+e), nil, 0o644))
	}
	require.NoError(t, first.Start())
	for _, e := range slow {
		require.Eventually(t, func() bool {
			runs, _ := filepath.Glob(filepath.Join(f.Control, "runs-*-"+e))
			return len(runs) >= 10
		}, 60*time.Second, 10*time.Millisecond)
		require.NoError(t, first.Process.Signal(syscall.SIGKILL))
		require.Error(t, first.Wait())
		require.NoError(t, os.Remove(filepath.Join(f.Control, "hold-"+e)))
		f.Resume = true
		first = f.controller(t)
		require.NoError(t, first.Start())
	}
	require.NoError(t, first.Wait())
	ids, err := (&journal.File{Dir: filepath.Join(f.Dir, "journal")}).Reader("web").Deployments(t.Context())
	require.NoError(t, err)
	require.Len(t, ids, 1)
	f.ranOnce(t, ids[0])
}

// controllerVar names the file that makes this test program a controller.
const controllerVar = "CUTOVER_TEST_CONTROLLER"

func (f fleet) controller(t *testing.T) *exec.Cmd {
	t.Helper()
	data, err := json.Marshal(f)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "fleet")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), controllerVar+"="+file)
	cmd.Stderr = os.Stderr
	return cmd
}

// control is the other process.
func control(file string) error {
	var f fleet
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		return err
	}
	d := f.deployment(f.hosts())
	var r *cutover.Result
	if f.Resume {
		r, err = d.Resume(contextForever(), "")
	} else {
		r, err = d.Run(contextForever())
	}
	if err == nil && r.Status != strategy.DeploymentSucceeded {
		err = fmt.Errorf("%s: %+v", r.Status, r.Failure)
	}
	return err
}

// Scripts run as the account that the AppSpec names, by way of sudo.
func TestRunAsThroughSudo(t *testing.T) {
	if _, err := user.Lookup("cdtest"); err != nil || os.Getuid() != 0 {
		t.Skip("SKIPPED scripts of other accounts over SSH: needs root and the account cdtest")
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		t.Skip("SKIPPED sudo over SSH: there is no sudo")
	}
	f := realFleet(t, 1)
	spec := "version: 0.0\nos: linux\nfiles:\n  - source: page.txt\n    destination: /srv/app\nhooks:\n  AfterInstall:\n    - location: who.sh\n      runas: cdtest\n"
	require.NoError(t, os.WriteFile(filepath.Join(f.Revision, "appspec.yml"), []byte(spec), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(f.Revision, "who.sh"), []byte("#!/bin/sh\nid -un > $CONTROL/who\n"), 0o755))
	hosts := f.hosts()
	hosts[0].(*onprem.SSH).Sudo = true
	defer closeAll(hosts)
	d := f.deployment(hosts)
	d.Strategy = strategy.AllAtOnce()
	r, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, r.Status, "%+v", r)
	require.Equal(t, "cdtest\n", read(t, f.Control, "who"))
}

func TestC20_DiskOfAHostIsFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED a full disk over SSH: needs root")
	}
	f := realFleet(t, 1)
	state := filepath.Join(f.Dir, "state")
	require.NoError(t, os.MkdirAll(state, 0o755))
	self, err := os.Executable()
	require.NoError(t, err)
	info, err := os.Stat(self)
	require.NoError(t, err)
	size := info.Size() + 3<<20
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", size)); err != nil {
		t.Skipf("SKIPPED a full disk over SSH: no tmpfs can be mounted: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(state, syscall.MNT_DETACH)) })
	require.NoError(t, os.WriteFile(filepath.Join(f.Revision, "big"), noise(6<<20), 0o644))
	hosts := f.hosts()
	defer closeAll(hosts)
	rev, b := reopen(t, f.Revision)
	j := &target.Job{Group: "web", Revision: rev, Bundle: b}
	e := doStep(t, hosts[0], j, lifecycle.Start)
	require.NotNil(t, e)
	require.Equal(t, lifecycle.TargetFailed, e.Code)
	require.Contains(t, e.Message, "make room")

	require.NoError(t, os.Remove(filepath.Join(f.Revision, "big")))
	rev, b = reopen(t, f.Revision)
	j = &target.Job{Group: "web", Revision: rev, Bundle: b}
	require.Nil(t, doStepOf(t, hosts[0], j, "d-2", lifecycle.Start), "what had come of it is gone")

	// There is no room for the executable either.
	other := f.hosts()[0].(*onprem.SSH)
	other.State = filepath.Join(state, "other")
	other.Access.Patience = time.Millisecond
	e = doStep(t, other, j, lifecycle.Start)
	require.NotNil(t, e)
	require.Equal(t, lifecycle.UnitLost, e.Code)
	require.Contains(t, e.Message, "No space left on device")
}
