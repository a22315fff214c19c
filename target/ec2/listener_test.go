package ec2_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
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

// That the last good revision cannot be told is no fault of the instance: it waits, and
// is neither abandoned nor put into service as it is.
func TestAnInstanceWaitsForTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 1)
		var good, bad int
		l := w.listener(&good, &bad)
		job, told := l.Job, time.Now().Add(30*time.Minute)
		l.Job = func(ctx context.Context) (*target.Job, error) {
			if time.Now().Before(told) {
				return nil, errors.New("the journal cannot be read")
			}
			return job(ctx)
		}
		require.NoError(t, l.Install(t.Context()))
		w.run(t, func() {
			w.Groups.Alarm("web", 1)
			w.listen(t, func() *ec2.Listener { return l }, 29*time.Minute)
			require.Len(t, w.Serving(w.arn), 1)
			w.listen(t, func() *ec2.Listener { return l }, 11*time.Minute)
		})
		require.Equal(t, 1, good)
		require.Len(t, w.Groups.Members("web"), 2)
		require.Len(t, w.Serving(w.arn), 2)
		require.Len(t, w.Machines.List(), 2, "none was abandoned")
	})
}

// A deployment ends while an instance is launched: it has not seen it, so the instance
// gets the new revision before it goes into service.
func TestALaunchFollowsADeploymentThatEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 1)
		var good, bad int
		l := w.listener(&good, &bad)
		changed := time.Now().Add(10 * time.Minute)
		l.Job = func(context.Context) (*target.Job, error) {
			digest := "sha256:one"
			if time.Now().After(changed) {
				digest = "sha256:two"
			}
			return &target.Job{Group: "web", Revision: revision.Revision{Digest: digest}}, nil
		}
		w.hosts.On(fake.Match{Event: lifecycle.Install, Nth: 1}, fake.Delay(15*time.Minute))
		require.NoError(t, l.Install(t.Context()))
		w.run(t, func() {
			w.Groups.Alarm("web", 1)
			w.listen(t, func() *ec2.Listener { return l }, 40*time.Minute)
		})
		require.Equal(t, [2]int{1, 0}, [2]int{good, bad})
		var installed []string
		for _, s := range w.hosts.Done() {
			if s.Event == lifecycle.Install {
				installed = append(installed, s.Deployment[strings.LastIndex(s.Deployment, "-")+1:])
			}
		}
		require.Equal(t, []string{"one", "two"}, installed)
		require.Len(t, w.Serving(w.arn), 2)
	})
}

// The revision may go back to what it was while an instance is launched: then that is
// deployed once more, whatever was recorded of it before.
func TestALaunchFollowsARevisionThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 1)
		var good, bad int
		l := w.listener(&good, &bad)
		asked := []string{"one", "two", "one", "two", "two"}
		l.Job = func(context.Context) (*target.Job, error) {
			digest := "sha256:" + asked[0]
			asked = asked[1:]
			return &target.Job{Group: "web", Revision: revision.Revision{Digest: digest}}, nil
		}
		require.NoError(t, l.Install(t.Context()))
		w.run(t, func() {
			w.Groups.Alarm("web", 1)
			w.listen(t, func() *ec2.Listener { return l }, 40*time.Minute)
		})
		require.Equal(t, [2]int{1, 0}, [2]int{good, bad})
		installs := 0
		for _, s := range w.hosts.Done() {
			if s.Event == lifecycle.Install {
				installs++
			}
		}
		require.Equal(t, 4, installs)
		require.Empty(t, asked)
	})
}

// An answer to the hook that is lost is not taken for a failure.
func TestALostAnswerToTheHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 1)
		var good, bad int
		l := w.listener(&good, &bad)
		require.NoError(t, l.Install(t.Context()))
		lost := 0
		w.API.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "CompleteLifecycleAction" && lost == 0 {
				lost++
				return awsfake.LostReply
			}
			return awsfake.NoFault
		})
		w.run(t, func() {
			w.Groups.Alarm("web", 1)
			w.listen(t, func() *ec2.Listener { return l }, 20*time.Minute)
		})
		require.Equal(t, [3]int{1, 0, 1}, [3]int{good, bad, lost})
	})
}

// A group that was replaced and kept gets no traffic, whatever it launches.
func TestLaunchesOfAKeptGroupGetNoTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.scaled(t, "web", 2)
		var good, bad int
		l := w.listener(&good, &bad)
		require.NoError(t, l.Install(t.Context()))
		w.run(t, func() {
			d := w.deployment(t, w.blueGreen(), strategy.BlueGreen{KeepAlive: true})
			d.ID = "d-1"
			_, err := d.Run(t.Context())
			require.NoError(t, err)
			w.Machines.Terminate(w.Groups.Members("web")[0])
			w.listen(t, func() *ec2.Listener { return l }, 20*time.Minute)
		})
		require.Equal(t, [2]int{1, 0}, [2]int{good, bad})
		require.Len(t, w.Groups.Members("web"), 2)
		require.ElementsMatch(t, w.Groups.Members("web-d-1"), w.Serving(w.arn))
	})
}
