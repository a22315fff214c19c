package rollback

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// asked is an alarm whose State a test writes.
type asked struct {
	name  string
	state func(context.Context) (AlarmState, error)
	calls atomic.Int32
}

func (a *asked) Name() string { return a.name }

func (a *asked) State(ctx context.Context) (AlarmState, error) {
	a.calls.Add(1)
	return a.state(ctx)
}

// says is an alarm that takes a while.
func says(name string, s AlarmState, after time.Duration) *asked {
	return &asked{name: name, state: func(context.Context) (AlarmState, error) {
		time.Sleep(after)
		return s, nil
	}}
}

// hangs is an alarm that never answers, and gives up when it is told to.
func hangs(name string) *asked {
	return &asked{name: name, state: func(ctx context.Context) (AlarmState, error) {
		<-ctx.Done()
		return AlarmOK, errors.New("dial tcp: operation was canceled")
	}}
}

// deaf is an alarm that answers only when the test says so.
func deaf(name string) (a *asked, answer chan AlarmState) {
	answer = make(chan AlarmState)
	return &asked{name: name, state: func(context.Context) (AlarmState, error) { return <-answer, nil }}, answer
}

func TestLimit(t *testing.T) {
	for every, want := range map[time.Duration]time.Duration{
		0: 15 * time.Second, time.Minute: 30 * time.Second, 20 * time.Second: 10 * time.Second, time.Millisecond: 10 * time.Second} {
		require.Equal(t, want, Watch{Every: every}.Limit(), every)
	}
}

// Alarms that hang cost one limit together, and no other alarm its reading.
func TestHungAlarmsAreUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := Watch{Alarms: []Alarm{hangs("one"), says("two", AlarmFiring, 5*time.Second), hangs("three"), says("four", AlarmOK, 0)}}
		r, began := w.Reader(), time.Now()
		for poll := range 3 {
			rs := r.Read(t.Context())
			require.Equal(t, time.Duration(poll+1)*w.Limit(), time.Since(began))
			require.Len(t, rs, 4)
			for _, i := range []int{0, 2} {
				require.ErrorContains(t, rs[i].Err, "it did not answer within 15s")
				require.Equal(t, Reading{Alarm: w.Alarms[i].Name(), State: AlarmUnknown, Err: rs[i].Err}, rs[i])
				require.EqualValues(t, poll+1, w.Alarms[i].(*asked).calls.Load(), "it ended, and is asked again")
			}
			require.Equal(t, Reading{Alarm: "two", State: AlarmFiring}, rs[1])
			require.Equal(t, Reading{Alarm: "four", State: AlarmOK}, rs[3])
		}
	})
}

// An alarm that ignores its context is not asked again before it has answered. What it
// answers then is old: that it was OK says nothing, that it fired is enough.
func TestAlarmThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, answer := deaf("one")
		r, began := Watch{Alarms: []Alarm{a, says("two", AlarmOK, 0)}}.Reader(), time.Now()
		rs := r.Read(t.Context())
		require.ErrorContains(t, rs[0].Err, "it did not answer within 15s")
		require.Equal(t, 16*time.Second, time.Since(began))
		for range 3 {
			rs = r.Read(t.Context())
			require.ErrorContains(t, rs[0].Err, "has not answered since an earlier poll")
			require.Equal(t, "one", rs[0].Alarm)
			require.Equal(t, Reading{Alarm: "two", State: AlarmOK}, rs[1])
		}
		require.Equal(t, 16*time.Second, time.Since(began), "it is not waited for again")
		require.EqualValues(t, 1, a.calls.Load())

		answer <- AlarmOK
		synctest.Wait()
		require.ErrorContains(t, r.Read(t.Context())[0].Err, "it did not answer within 15s")
		require.EqualValues(t, 2, a.calls.Load())
		answer <- AlarmFiring
		synctest.Wait()
		require.Equal(t, Reading{Alarm: "one", State: AlarmFiring}, r.Read(t.Context())[0])
		require.EqualValues(t, 2, a.calls.Load())

		time.AfterFunc(time.Second, func() { answer <- AlarmOK })
		require.Equal(t, Reading{Alarm: "one", State: AlarmOK}, r.Read(t.Context())[0])
		require.EqualValues(t, 3, a.calls.Load())
	})
}

// Whoever cancels gets Read back at once, and finds nothing running that heeds it.
func TestReadIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		a := &asked{name: "one", state: func(ctx context.Context) (AlarmState, error) {
			<-ctx.Done()
			ended = true
			return AlarmUnknown, ctx.Err()
		}}
		over := errors.New("the deployment is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(over) })
		began := time.Now()
		rs := Watch{Alarms: []Alarm{a}}.Read(ctx)
		require.Equal(t, []Reading{{Alarm: "one", State: AlarmUnknown, Err: over}}, rs)
		require.Equal(t, time.Second, time.Since(began))
		require.True(t, ended)
	})
}

// A panic is an alarm that cannot be read, also where the name is what panics.
func TestAlarmThatPanics(t *testing.T) {
	rs := Watch{Alarms: []Alarm{&asked{name: "one"}, (*asked)(nil)}}.Read(t.Context())
	require.Equal(t, "one", rs[0].Alarm)
	for _, r := range rs {
		require.Equal(t, AlarmUnknown, r.State)
		require.ErrorContains(t, r.Err, "it panicked: ")
	}
}
