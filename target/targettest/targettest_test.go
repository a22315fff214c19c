package targettest_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/target/targettest"
)

func TestRight(t *testing.T) {
	targettest.Run(t, func(*testing.T) *targettest.Harness { return newModel("").harness() })
}

func TestCheckOutsideOfTests(t *testing.T) {
	err := targettest.Check(t.Context(), func() (*targettest.Harness, error) { return newModel("").harness(), nil })
	require.NoError(t, err)

	down := errors.New("no network")
	err = targettest.Check(t.Context(), func() (*targettest.Harness, error) { return nil, down })
	require.ErrorIs(t, err, down)

	err = targettest.Check(t.Context(), func() (*targettest.Harness, error) { return &targettest.Harness{}, nil })
	require.ErrorContains(t, err, "Harness.Target is nil")
}

// A harness with nothing but a target is enough.
func TestBareHarness(t *testing.T) {
	err := targettest.Check(t.Context(), func() (*targettest.Harness, error) {
		return &targettest.Harness{Target: newModel("")}, nil
	})
	require.NoError(t, err)
}

// Every rule catches at least one defect, and every defect is caught by its rule.
func TestU10_WrongTargets(t *testing.T) {
	caught := map[string]string{
		"lists twice":             targettest.UnitsUnique,
		"no id":                   targettest.UnitsUnique,
		"lists none":              targettest.UnitsUnique,
		"renames":                 targettest.UnitsStable,
		"any unit":                targettest.UnknownUnit,
		"nothing works":           targettest.Succeeds,
		"already done":            targettest.SameOutcome,
		"forgets idempotency":     targettest.OneEffect,
		"applies twice":           targettest.OneEffect,
		"forgets on restart":      targettest.OutlivesRestart,
		"plain errors":            targettest.FailureHasCode,
		"no code":                 targettest.FailureHasCode,
		"retries":                 targettest.FailureRemembered,
		"cancelled in vain":       targettest.CancelledBefore,
		"hides the cause":         targettest.CancelledSoon,
		"ignores cancel":          targettest.CancelledSoon,
		"cancelled for good":      targettest.CancelledAgain,
		"one at a time":           targettest.Concurrent,
		"needs Note":              targettest.WithoutNote,
		"late note":               targettest.NotesInTime,
		"adds weights":            targettest.WeightAbsolute,
		"one weight":              targettest.WeightOfUnit,
		"lies about health":       targettest.SuccessIsHealth,
		"snapshot marks":          targettest.SnapshotReads,
		"snapshot makes":          targettest.SnapshotReads,
		"overwrites":              targettest.ForeignNoticed,
		"never overwrites":        targettest.ForeignNoticed,
		"remembers what it found": targettest.ForeignNoticed,
		"always makes some":       targettest.ProvisionedOnce,
		"provisions twice":        targettest.ProvisionedOnce,
		"retires once":            targettest.RetiredForGood,
		"retires nobody":          targettest.RetiredForGood,
		"leaks":                   targettest.NoGoroutine,
		"panics":                  targettest.NoPanic,
		"panics in Units":         targettest.NoPanic,
		"blocks for ever":         targettest.Ends,
	}
	var used []string
	for defect, rule := range caught {
		used = append(used, rule)
		t.Run(defect, func(t *testing.T) {
			require.Contains(t, broken(t.Context(), defect), rule)
		})
	}
	for _, rule := range targettest.Rules() {
		require.NotEmpty(t, rule.Why)
		require.Contains(t, used, rule.Name, "no wrong target shows that the rule catches anything")
	}
}

// broken names the rules that a model with the defect breaks.
func broken(ctx context.Context, defect string) []string {
	err := targettest.Check(ctx, func() (*targettest.Harness, error) { return newModel(defect).harness(), nil })
	var names []string
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range all.Unwrap() {
			if v, ok := errors.AsType[*targettest.Violation](one); ok && !slices.Contains(names, v.Rule) {
				names = append(names, v.Rule)
			}
		}
	}
	return names
}
