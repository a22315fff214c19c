package ec2_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/ec2"
	"github.com/cutover-deploy/cutover/target/fake"
)

// listener is one that counts how launches ended.
func (w *world) listener(good, bad *int) *ec2.Listener {
	var mu sync.Mutex
	return &ec2.Listener{Groups: []string{"web"}, AutoScaling: w.AutoScaling, Instances: direct{w.Machines}, Reach: w,
		Balancers: &ec2.Balancers{TargetGroups: []string{"web"}, V2: w.V2},
		Job: func(context.Context) (*target.Job, error) {
			return &target.Job{Group: "web", Revision: revision.Revision{Digest: "sha256:0123456789abcdef0123456789abcdef"}}, nil
		},
		Observe: func(_, _ string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				*good++
			} else {
				*bad++
			}
		}}
}

// listen runs listeners one after another, each until its time is over.
func (w *world) listen(t *testing.T, l func() *ec2.Listener, times ...time.Duration) {
	t.Helper()
	for _, d := range times {
		ctx, stop := context.WithTimeout(t.Context(), d)
		require.ErrorIs(t, l().Run(ctx), context.DeadlineExceeded)
		stop()
	}
}

func TestLaunchedInstancesGetTheLastGoodRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 3)
		var good, bad int
		l := w.listener(&good, &bad)
		require.NoError(t, l.Install(t.Context()))
		w.run(t, func() {
			w.Groups.Alarm("web", 2)
			w.listen(t, func() *ec2.Listener { return l }, 10*time.Minute)
		})
		for _, a := range l.Statements(ec2.Scope{})[0].Action {
			require.NotZero(t, w.API.Counts()[strings.Replace(a, "autoscaling:", "Auto Scaling.", 1)], a)
		}
		require.Equal(t, [2]int{2, 0}, [2]int{good, bad})
		require.Len(t, w.Serving(w.arn), 5)
		id := w.Groups.Members("web")[4]
		var events []lifecycle.Event
		for _, s := range w.hosts.Done() {
			if s.Unit == id {
				events = append(events, s.Event)
			}
		}
		require.Equal(t, []lifecycle.Event{"Start", "ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall",
			"ApplicationStart", "ValidateService", "BeforeAllowTraffic", "AfterAllowTraffic"}, events)
	})
}

// A deployment that takes longer than the hook waits is kept alive, also over restarts
// of the listener, and nothing is done twice.
func TestListenerBeatsAndIsRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 1)
		w.hosts.On(fake.Match{Event: lifecycle.ApplicationStart}, fake.Delay(25*time.Minute))
		var good, bad int
		l := func() *ec2.Listener { return w.listener(&good, &bad) }
		require.NoError(t, l().Install(t.Context()))
		w.run(t, func() {
			w.Groups.Alarm("web", 1)
			w.listen(t, l, 2*time.Minute, 7*time.Minute, 50*time.Minute)
		})
		require.Equal(t, [2]int{1, 0}, [2]int{good, bad})
		require.Len(t, w.Serving(w.arn), 2)
		seen := map[lifecycle.Step]bool{}
		for _, s := range w.hosts.Done() {
			require.False(t, seen[s], "%s was done twice", s)
			seen[s] = true
		}
	})
}

// A launch that fails is abandoned, and Auto Scaling launches another instance.
func TestFailedLaunchIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 1)
		w.hosts.On(fake.Match{Event: lifecycle.Install, Nth: 1}, fake.Fail(lifecycle.InstallFailed))
		var good, bad int
		l := w.listener(&good, &bad)
		require.NoError(t, l.Install(t.Context()))
		w.run(t, func() {
			w.Groups.Alarm("web", 1)
			w.listen(t, func() *ec2.Listener { return l }, 20*time.Minute)
		})
		require.Equal(t, [2]int{1, 1}, [2]int{good, bad})
		require.Len(t, w.Serving(w.arn), 2)
	})
}
