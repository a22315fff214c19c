package cloudwatch_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	fakecloudwatch "github.com/cutover-deploy/cutover/internal/awsfake/cloudwatch"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct {
	*fakecloudwatch.World
	api *awsfake.API
}

func newWorld() *world {
	api := &awsfake.API{}
	return &world{fakecloudwatch.New(api), api}
}

func (w *world) watch(names ...string) rollback.Watch {
	a := &cloudwatch.Alarms{Client: awscloudwatch.NewFromConfig(w.api.Config()), Names: names}
	return rollback.Watch{Alarms: a.List()}
}

func TestStates(t *testing.T) {
	w := newWorld()
	w.Set("fine", types.StateValueOk)
	w.Set("fires", types.StateValueAlarm)
	w.Set("new", types.StateValueInsufficientData)
	w.Set("odd", "DREAMING")
	w.SetComposite("all", types.StateValueAlarm)
	rs := w.watch("fine", "fires", "new", "odd", "all", "deleted").Read(t.Context())
	for i, want := range []struct {
		name  string
		state rollback.AlarmState
		err   string
	}{
		{"fine", rollback.AlarmOK, ""}, {"fires", rollback.AlarmFiring, ""}, {"new", rollback.AlarmUnknown, ""},
		{"odd", rollback.AlarmUnknown, "DREAMING"}, {"all", rollback.AlarmFiring, ""}, {"deleted", rollback.AlarmUnknown, "deleted"},
	} {
		require.Equal(t, want.name, rs[i].Alarm)
		require.Equal(t, want.state, rs[i].State, want.name)
		if want.err != "" {
			require.ErrorContains(t, rs[i].Err, want.err)
		} else {
			require.NoError(t, rs[i].Err, want.name)
		}
	}
}

func TestOneCallForAHundredAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var names []string
		for i := range 250 {
			names = append(names, fmt.Sprintf("alarm-%03d", i))
			w.Set(names[i], types.StateValueOk)
		}
		watch := w.watch(names...)
		for poll := range 3 {
			for _, r := range watch.Read(t.Context()) {
				require.NoError(t, r.Err)
				require.Equal(t, rollback.AlarmOK, r.State)
			}
			require.Len(t, w.api.Calls(), 3*(poll+1))
			time.Sleep(30 * time.Second)
		}
	})
}

// Every poll is a new one, whatever the others have left of the last.
func TestNoReadingIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.Set("one", types.StateValueOk)
		w.Set("two", types.StateValueOk)
		watch := w.watch("one", "two")
		one, two := rollback.Watch{Alarms: watch.Alarms[:1]}, rollback.Watch{Alarms: watch.Alarms[1:]}
		require.Equal(t, rollback.AlarmOK, one.Read(t.Context())[0].State)
		w.Set("two", types.StateValueAlarm)
		time.Sleep(30 * time.Second)
		require.Equal(t, rollback.AlarmFiring, two.Read(t.Context())[0].State)
		w.Set("one", types.StateValueAlarm)
		time.Sleep(6 * time.Second)
		require.Equal(t, rollback.AlarmFiring, one.Read(t.Context())[0].State)
	})
}

// I1, I2, I3: what a deployment makes of it.
func TestI1_ToI3_Latch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.Set("errors", types.StateValueAlarm)
		watch := w.watch("errors")
		_, err := rollback.NewLatch(watch, watch.Read(t.Context()))
		require.ErrorContains(t, err, "errors fires already", "I2")

		w.Set("errors", types.StateValueOk)
		time.Sleep(time.Minute)
		latch, err := rollback.NewLatch(watch, watch.Read(t.Context()))
		require.NoError(t, err)
		var why string
		for i := range 10 { // I1: it flaps
			w.Set("errors", []types.StateValue{types.StateValueOk, types.StateValueAlarm}[i%2])
			time.Sleep(30 * time.Second)
			why = latch.Observe(watch.Read(t.Context()))
			require.Equal(t, i > 0, why != "")
		}

		w.Delete("errors")
		_, err = rollback.NewLatch(watch, watch.Read(t.Context()))
		require.ErrorContains(t, err, "cannot be read", "I3: deleted")
	})
	for fault, says := range map[awsfake.Fault]string{awsfake.AccessDenied: "is not allowed", awsfake.ServerError: "DescribeAlarms",
		awsfake.Throttle: "DescribeAlarms", awsfake.UnknownEnum: "SOMETHING_NEW", awsfake.EmptyAnswer: "there is no alarm"} {
		synctest.Test(t, func(t *testing.T) { // I3: it fails closed, after three polls
			w := newWorld()
			w.Set("errors", types.StateValueOk)
			watch := w.watch("errors")
			latch, err := rollback.NewLatch(watch, watch.Read(t.Context()))
			require.NoError(t, err)
			w.api.Inject(func(awsfake.Call) awsfake.Fault { return fault })
			var why string
			for i := range 3 {
				require.Empty(t, why, "%s, poll %d", fault, i)
				time.Sleep(30 * time.Second)
				why = latch.Observe(watch.Read(t.Context()))
			}
			require.Contains(t, why, says, fault)
			watch.IgnoreUnreadable = true
			_, err = rollback.NewLatch(watch, watch.Read(t.Context()))
			require.NoError(t, err, "unless told otherwise")
		})
	}
}

// I4: another region has a client of its own, in the same watch.
func TestI4_OtherRegion(t *testing.T) {
	here, there := newWorld(), newWorld()
	here.Set("errors", types.StateValueOk)
	there.Set("errors-us", types.StateValueAlarm)
	watch := rollback.Watch{Alarms: append(here.watch("errors").Alarms, there.watch("errors-us").Alarms...)}
	rs := watch.Read(t.Context())
	require.Equal(t, []rollback.AlarmState{rollback.AlarmOK, rollback.AlarmFiring}, []rollback.AlarmState{rs[0].State, rs[1].State})
}

// answering is a client that takes its time, and may hang.
type answering struct {
	calls atomic.Int32
	hung  atomic.Bool
	deaf  chan struct{} // until when it ignores that it was cancelled; nil: it does not
}

func (c *answering) DescribeAlarms(ctx context.Context, in *awscloudwatch.DescribeAlarmsInput, _ ...func(*awscloudwatch.Options)) (*awscloudwatch.DescribeAlarmsOutput, error) {
	c.calls.Add(1)
	if c.hung.Load() {
		<-ctx.Done()
		if c.deaf != nil {
			<-c.deaf
		}
		return nil, fmt.Errorf("operation error: %w", ctx.Err())
	}
	time.Sleep(7 * time.Second)
	out := &awscloudwatch.DescribeAlarmsOutput{}
	for _, name := range in.AlarmNames {
		out.MetricAlarms = append(out.MetricAlarms, types.MetricAlarm{AlarmName: &name, StateValue: types.StateValueOk})
	}
	return out, nil
}

// Alarms are read at the same time. One call is still enough, however slow it is, and
// one that hangs costs a limit, not more calls.
func TestOneCallForAPollThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &answering{}
		a := &cloudwatch.Alarms{Client: c, Names: []string{"one", "two", "three"}}
		watch := rollback.Watch{Alarms: a.List(), Every: time.Second} // polls follow at once
		r, began := watch.Reader(), time.Now()
		poll := func() []rollback.Reading {
			c.calls.Store(0)
			rs := r.Read(t.Context())
			require.EqualValues(t, 1, c.calls.Load())
			return rs
		}
		for i := range 6 {
			c.hung.Store(i%2 == 1)
			for _, r := range poll() {
				if i%2 == 1 {
					require.ErrorContains(t, r.Err, "it did not answer within 10s", r.Alarm)
				} else {
					require.Equal(t, rollback.Reading{Alarm: r.Alarm, State: rollback.AlarmOK}, r)
				}
			}
		}
		require.Equal(t, 3*(7+10)*time.Second, time.Since(began))
	})
}

// A client that does not even hear that it was cancelled silences its own alarms and no
// others, and these come back when it does.
func TestClientThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := &answering{deaf: make(chan struct{})}, &answering{}
		a, b := &cloudwatch.Alarms{Client: c, Names: []string{"one", "two"}}, &cloudwatch.Alarms{Client: other, Names: []string{"three"}}
		r := rollback.Watch{Alarms: append(a.List(), b.List()...)}.Reader()
		c.hung.Store(true)
		for range 3 {
			rs := r.Read(t.Context())
			require.Error(t, rs[0].Err)
			require.Error(t, rs[1].Err)
			require.NoError(t, rs[2].Err)
			require.EqualValues(t, 1, c.calls.Load())
		}
		c.hung.Store(false)
		close(c.deaf)
		synctest.Wait()
		for _, reading := range r.Read(t.Context()) {
			require.NoError(t, reading.Err, reading.Alarm)
		}
	})
}

// I12: a token that repeats does not go on for ever.
func TestI12_PagesEnd(t *testing.T) {
	api := &awsfake.API{}
	awsfake.Handle(api, "CloudWatch", "DescribeAlarms", func(_ context.Context, _ *awscloudwatch.DescribeAlarmsInput) (*awscloudwatch.DescribeAlarmsOutput, error) {
		return &awscloudwatch.DescribeAlarmsOutput{NextToken: aws.String("again"),
			MetricAlarms: []types.MetricAlarm{{AlarmName: aws.String("one"), StateValue: types.StateValueOk}}}, nil
	})
	a := &cloudwatch.Alarms{Client: awscloudwatch.NewFromConfig(api.Config()), Names: []string{"one", "two"}}
	rs := rollback.Watch{Alarms: a.List()}.Read(t.Context())
	require.NoError(t, rs[0].Err)
	require.Error(t, rs[1].Err)
	require.Len(t, api.Calls(), 2)
}
