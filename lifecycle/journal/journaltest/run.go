package journaltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

type run struct {
	Harness
	ctx context.Context
}

const group = "journaltest"

// with opens a group, calls f and closes.
func (r *run) with(group string, f func(journal.Log) error) error {
	log, err := r.Journal.Open(r.ctx, group)
	if err != nil {
		return fmt.Errorf("Open(%q): %w", group, err)
	}
	err = f(log)
	if cerr := log.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("Close: %w", cerr)
	}
	return err
}

// record makes the nth record of a deployment, with every field in use.
func record(id string, n int64) lifecycle.Record {
	return lifecycle.Record{
		Seq: n, Time: time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC).Add(time.Duration(n)), Kind: lifecycle.Ended,
		Step:    lifecycle.Step{Deployment: id, Stage: int(n), Unit: "unit/ü \"1\"\n", Event: lifecycle.Install, Weight: 10},
		Failure: &lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "a\nb\x00c", Script: "s", Exit: 3, Signal: "SIGKILL", Log: "<log>\r\n"},
		Data:    json.RawMessage(fmt.Sprintf(`{"n":%d,"text":"<&>"}`, n)),
	}
}

func batch(id string, from, to int64) (records []lifecycle.Record) {
	for n := from; n <= to; n++ {
		records = append(records, record(id, n))
	}
	return records
}

func (r *run) appendAll(log journal.Log, id string, from, to int64) error {
	if err := log.Append(r.ctx, batch(id, from, to)...); err != nil {
		return fmt.Errorf("Append of %d to %d: %w", from, to, err)
	}
	return nil
}

// holds compares what is read with records from to to.
func (r *run) holds(log journal.Reader, id string, from, to int64) error {
	want := batch(id, from, to)
	i := 0
	for got, err := range log.Records(r.ctx, id, from) {
		switch {
		case err != nil:
			return fmt.Errorf("Records: %w", err)
		case i >= len(want):
			return fmt.Errorf("record %d was read, the last is %d", got.Seq, to)
		case !same(got, want[i]):
			return fmt.Errorf("record %d was read as %+v, and written as %+v", want[i].Seq, got, want[i])
		}
		i++
	}
	if i < len(want) {
		return fmt.Errorf("%d records were read, not %d", i, len(want))
	}
	return nil
}

func same(a, b lifecycle.Record) bool {
	if !a.Time.Equal(b.Time) {
		return false
	}
	var x, y any
	if json.Unmarshal(a.Data, &x) != nil || json.Unmarshal(b.Data, &y) != nil {
		return false
	}
	a.Time, a.Data, b.Time, b.Data = time.Time{}, nil, time.Time{}, nil
	return reflect.DeepEqual(a, b) && reflect.DeepEqual(x, y)
}

func listed(ctx context.Context, log journal.Reader, want []string) error {
	got, err := log.Deployments(ctx)
	if err != nil {
		return fmt.Errorf("Deployments: %w", err)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("Deployments lists %q, not %q", got, want)
	}
	return nil
}

// errorOf is the error that reading ends with.
func errorOf(ctx context.Context, log journal.Reader, id string) error {
	for _, err := range log.Records(ctx, id, 1) {
		if err != nil {
			return err
		}
	}
	return nil
}

func is(err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("the error is %v, not %v", err, want)
	}
	return nil
}
