package journaltest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
)

// wrong is a journal with a defect, over one that is right.
type wrong struct {
	defect string
	right  *journal.Memory
}

func (w *wrong) Open(ctx context.Context, group string) (journal.Log, error) {
	switch w.defect {
	case "no lock":
		log, err := w.right.Open(ctx, group)
		if errors.Is(err, journal.ErrLocked) {
			return (&journal.Memory{}).Open(ctx, group)
		}
		return log, err
	case "one group":
		group = "all"
	case "folds case":
		group = strings.ToLower(group)
	case "no odd names":
		if strings.ContainsAny(group, "./\n") {
			return nil, errors.New("what a name")
		}
	}
	log, err := w.right.Open(ctx, group)
	if err != nil {
		return nil, err
	}
	return &wrongLog{Log: log, w: w, kept: map[string][]lifecycle.Record{}}, nil
}

type wrongLog struct {
	journal.Log
	w      *wrong
	kept   map[string][]lifecycle.Record // what "keeps pointers" hands out
	closed bool
}

func (l *wrongLog) Deployments(ctx context.Context) ([]string, error) {
	ids, err := l.Log.Deployments(ctx)
	if l.w.defect == "sorts ids" {
		slices.Sort(ids)
	}
	return ids, err
}

func (l *wrongLog) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	if l.w.defect == "from the start" {
		from = 1
	}
	if kept := l.kept[id]; l.w.defect == "keeps pointers" && kept != nil {
		return func(yield func(lifecycle.Record, error) bool) {
			for _, r := range kept {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
	return func(yield func(lifecycle.Record, error) bool) {
		for r, err := range l.Log.Records(ctx, id, from) {
			if l.w.defect == "nothing is empty" && errors.Is(err, journal.ErrNotFound) {
				return
			}
			if l.w.defect == "loses the log" && r.Failure != nil {
				r.Failure.Log = ""
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (l *wrongLog) Append(ctx context.Context, records ...lifecycle.Record) error {
	switch l.w.defect {
	case "ignores cancel":
		ctx = context.WithoutCancel(ctx)
	case "one by one":
		for _, r := range records {
			if err := l.Log.Append(ctx, r); err != nil {
				return err
			}
		}
		return nil
	case "keeps pointers":
		l.kept[records[0].Step.Deployment] = append(l.kept[records[0].Step.Deployment], records...)
	}
	err := l.Log.Append(ctx, records...)
	switch {
	case l.w.defect == "swallows conflicts" && errors.Is(err, journal.ErrConflict):
		return nil
	case l.w.defect == "plain conflicts" && errors.Is(err, journal.ErrConflict):
		return errors.New("conflict")
	case l.w.defect == "writes after close" && errors.Is(err, journal.ErrClosed):
		return nil
	}
	return err
}

func (l *wrongLog) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	if l.w.defect == "forgets" {
		defer func() { *l.w = wrong{defect: "forgets", right: &journal.Memory{}} }()
	}
	return l.Log.Close()
}

func TestU12_WrongJournals(t *testing.T) {
	caught := map[string][]string{
		"loses the log":      {journaltest.ReadsBack},
		"from the start":     {journaltest.ReadsFrom},
		"forgets":            {journaltest.Outlives},
		"sorts ids":          {journaltest.OldestFirst},
		"nothing is empty":   {journaltest.NotFound},
		"swallows conflicts": {journaltest.RefusesRepeat, journaltest.RefusesGap},
		"plain conflicts":    {journaltest.RefusesRepeat, journaltest.RefusesGap},
		"one by one":         {journaltest.AllOrNone},
		"no lock":            {journaltest.OneController},
		"one group":          {journaltest.GroupsApart},
		"folds case":         {journaltest.GroupsApart},
		"no odd names":       {journaltest.AnyName},
		"keeps pointers":     {journaltest.Independent},
		"writes after close": {journaltest.ClosedIsClosed},
		"ignores cancel":     {journaltest.Cancelled},
	}
	var used []string
	for defect, rules := range caught {
		used = append(used, rules...)
		t.Run(defect, func(t *testing.T) {
			err := journaltest.Check(t.Context(), func() (*journaltest.Harness, error) {
				return &journaltest.Harness{Journal: &wrong{defect, &journal.Memory{}}}, nil
			})
			for _, rule := range rules {
				require.ErrorContains(t, err, `rule "`+rule+`"`)
			}
			_, ok := errors.AsType[*journaltest.Violation](err)
			require.True(t, ok)
		})
	}
	for _, rule := range journaltest.Rules() {
		require.NotEmpty(t, rule.Why)
		require.Contains(t, used, rule.Name, "no wrong journal shows that the rule catches anything")
	}
}

func TestRightOneWrapped(t *testing.T) {
	err := journaltest.Check(t.Context(), func() (*journaltest.Harness, error) {
		return &journaltest.Harness{Journal: &wrong{"", &journal.Memory{}}}, nil
	})
	require.NoError(t, err)
}

func TestTapFailsBeforeAndAfterTheWrite(t *testing.T) {
	crash := errors.New("crash")
	fail := func([]lifecycle.Record) error { return crash }
	for written, tap := range map[int]*journaltest.Tap{0: {Before: fail}, 1: {After: fail}} {
		memory := &journal.Memory{}
		tap.Journal = memory
		log, err := tap.Open(t.Context(), "g")
		require.NoError(t, err)
		require.ErrorIs(t, log.Append(t.Context(), lifecycle.Record{Seq: 1, Step: lifecycle.Step{Deployment: "d-1"}}), crash)
		ids, err := memory.Reader("g").Deployments(t.Context())
		require.NoError(t, err)
		require.Len(t, ids, written)
		require.NoError(t, log.Close())
	}
}
