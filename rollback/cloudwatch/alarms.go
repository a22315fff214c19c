package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/rollback"
)

// Client is what [Alarms] calls. A *cloudwatch.Client of the SDK is one.
type Client interface {
	DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error)
}

// Action is what an IAM policy must allow, on the alarms by ARN.
const Action = "cloudwatch:DescribeAlarms"

// Alarms are alarms of one account in one region. Set the fields before first use and
// leave them. It must not be copied after use.
type Alarms struct {
	Client Client   // required
	Names  []string // of alarms of metrics and of composite alarms, each once

	once sync.Once
	// turn has room for the one who reads the batch, or makes it. It is no mutex, since
	// whoever waits for a call that hangs must be able to give up.
	turn  chan struct{}
	batch map[string]reading // of the present poll; what was taken out of it is gone
	at    time.Time
}

type reading struct {
	state rollback.AlarmState
	err   error
}

// List returns an alarm for each name, in their order.
func (a *Alarms) List() []rollback.Alarm {
	list := make([]rollback.Alarm, len(a.Names))
	for i, name := range a.Names {
		list[i] = &alarm{a, name}
	}
	return list
}

// alarm is one of [Alarms].
type alarm struct {
	all  *Alarms
	name string
}

// Name implements [rollback.Alarm].
func (a *alarm) Name() string { return a.name }

// State implements [rollback.Alarm].
func (a *alarm) State(ctx context.Context) (rollback.AlarmState, error) {
	return a.all.state(ctx, a.name)
}

// fresh is how old a reading may be that was made for another alarm of the same poll.
const fresh = 5 * time.Second

// state takes an alarm's reading out of the poll. If it was taken before, or the poll is
// old, this is a new poll. Alarms that are read meanwhile wait for it, and call nobody.
func (a *Alarms) state(ctx context.Context, name string) (rollback.AlarmState, error) {
	a.once.Do(func() { a.turn = make(chan struct{}, 1) })
	select {
	case <-ctx.Done():
		return rollback.AlarmUnknown, context.Cause(ctx)
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	}
	r, ok := a.batch[name]
	if ok && time.Since(a.at) <= fresh {
		delete(a.batch, name)
		return r.state, r.err
	}
	if ctx.Err() != nil { // those who waited with this one have lost their time too
		return rollback.AlarmUnknown, context.Cause(ctx)
	}
	batch := a.poll(ctx)
	r = batch[name]
	if delete(batch, name); ctx.Err() != nil {
		batch = nil // that it came to no end is nothing that a later poll should be told
	}
	a.batch, a.at = batch, time.Now()
	return r.state, r.err
}

// most is how many names CloudWatch takes in one call.
const most = 100

// poll reads all alarms.
func (a *Alarms) poll(ctx context.Context) map[string]reading {
	all := make(map[string]reading, len(a.Names))
	for names := range slices.Chunk(a.Names, most) {
		found, err := a.describe(ctx, names)
		for _, name := range names {
			r, ok := found[name]
			switch {
			case err != nil:
				r = reading{rollback.AlarmUnknown, err}
			case !ok:
				r = reading{rollback.AlarmUnknown, fmt.Errorf("there is no alarm %q: it was deleted, is misspelt, or is in another account or region", name)}
			}
			all[name] = r
		}
	}
	return all
}

// describe reads up to a hundred alarms. It follows further pages as long as they bring
// something new.
func (a *Alarms) describe(ctx context.Context, names []string) (map[string]reading, error) {
	found := map[string]reading{}
	in := &cloudwatch.DescribeAlarmsInput{AlarmNames: names, MaxRecords: aws.Int32(most),
		AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}}
	for {
		out, err := awserror.Ask(ctx, a.Client.DescribeAlarms, in)
		if err != nil {
			return nil, failed(ctx, err)
		}
		before := len(found)
		for _, m := range out.MetricAlarms {
			found[aws.ToString(m.AlarmName)] = read(m.StateValue)
		}
		for _, c := range out.CompositeAlarms {
			found[aws.ToString(c.AlarmName)] = read(c.StateValue)
		}
		if aws.ToString(out.NextToken) == "" || len(found) == before {
			return found, nil
		}
		in.NextToken = out.NextToken
	}
}

func read(s types.StateValue) reading {
	switch s {
	case types.StateValueOk:
		return reading{state: rollback.AlarmOK}
	case types.StateValueAlarm:
		return reading{state: rollback.AlarmFiring}
	case types.StateValueInsufficientData:
		return reading{state: rollback.AlarmUnknown}
	}
	return reading{rollback.AlarmUnknown, fmt.Errorf("its state is %q, which is none that is known", s)}
}

// failed says which action has failed, and what to do.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if awserror.Meaning(err) == lifecycle.Denied && !awserror.Expired(err) {
		return fmt.Errorf("%s is not allowed: grant it on these alarms: %w", Action, err)
	}
	return fmt.Errorf("%s: %w", Action, err)
}
