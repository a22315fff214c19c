// Package cloudwatch is the alarms of Amazon CloudWatch in the process, for tests and
// examples, behind an [awsfake.API]. No metric drives them: a test sets their states.
package cloudwatch

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// World is the alarms of an account in one region. Its methods may be called from many
// goroutines.
type World struct {
	mu     sync.Mutex
	alarms map[string]alarm
}

type alarm struct {
	state     types.StateValue
	composite bool
}

// New makes a world without alarms and puts it behind the API.
func New(api *awsfake.API) *World {
	w := &World{alarms: map[string]alarm{}}
	awsfake.Handle(api, "CloudWatch", "DescribeAlarms", w.describe)
	return w
}

// Set makes an alarm of a metric, or changes its state.
func (w *World) Set(name string, s types.StateValue) { w.put(name, alarm{state: s}) }

// SetComposite makes a composite alarm, or changes its state.
func (w *World) SetComposite(name string, s types.StateValue) {
	w.put(name, alarm{state: s, composite: true})
}

func (w *World) put(name string, a alarm) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alarms[name] = a
}

// Delete deletes an alarm.
func (w *World) Delete(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.alarms, name)
}

// most is how many names a request may have, and how many alarms an answer.
const most = 100

func (w *World) describe(_ context.Context, in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	if len(in.AlarmNames) > most {
		return nil, awsfake.APIError("ValidationError", "AlarmNames has more than 100 members")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds := in.AlarmTypes
	if len(kinds) == 0 {
		kinds = []types.AlarmType{types.AlarmTypeMetricAlarm}
	}
	names := slices.Sorted(slices.Values(in.AlarmNames))
	out, room := &cloudwatch.DescribeAlarmsOutput{}, most
	if in.MaxRecords != nil {
		room = int(*in.MaxRecords)
	}
	for _, name := range slices.Compact(names) {
		a, ok := w.alarms[name]
		if !ok || strings.Compare(name, aws.ToString(in.NextToken)) < 0 {
			continue
		}
		if len(out.MetricAlarms)+len(out.CompositeAlarms) == room {
			out.NextToken = aws.String(name)
			break
		}
		switch {
		case a.composite && slices.Contains(kinds, types.AlarmTypeCompositeAlarm):
			out.CompositeAlarms = append(out.CompositeAlarms, types.CompositeAlarm{AlarmName: aws.String(name), StateValue: a.state})
		case !a.composite && slices.Contains(kinds, types.AlarmTypeMetricAlarm):
			out.MetricAlarms = append(out.MetricAlarms, types.MetricAlarm{AlarmName: aws.String(name), StateValue: a.state})
		}
	}
	return out, nil
}
