package targettest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// checkSnapshot takes two, and compares them and the units.
func checkSnapshot(r *run) error {
	s, ok := r.Target.(target.Snapshotter)
	if !ok {
		return fmt.Errorf("the target takes no snapshots: %w", errLeftOut)
	}
	before, err := r.units()
	if err != nil {
		return err
	}
	var shots [2][]byte
	for i := range shots {
		err := r.answer("Snapshot", func() error {
			shot, err := s.Snapshot(r.ctx, r.Job)
			return errors.Join(err, marshal(shot, &shots[i]))
		})
		if err != nil {
			return onlyOr(err, "Snapshot")
		}
	}
	after, err := r.units()
	switch {
	case err != nil:
		return err
	case !bytes.Equal(shots[0], shots[1]):
		return fmt.Errorf("Snapshot said %s, and then %s", shots[0], shots[1])
	case !slices.Equal(ids(before), ids(after)):
		return fmt.Errorf("Units listed %q, and after a snapshot %q", ids(before), ids(after))
	}
	return nil
}

func marshal(shot target.Snapshot, into *[]byte) (err error) {
	*into, err = json.Marshal(shot)
	return err
}

// checkForeign expects a weight that the unit does not have. The unit has the weight
// that it has before AllowTraffic: none.
func checkForeign(r *run) error {
	if !r.Compares {
		return leftOut("Compares")
	}
	units, err := r.units()
	if err != nil {
		return err
	}
	for _, u := range units {
		steps := r.steps(u)
		i := slices.IndexFunc(steps, func(s lifecycle.Step) bool { return s.Event == lifecycle.AllowTraffic })
		if i < 0 || u.Role == lifecycle.OriginalRole {
			continue
		}
		for _, s := range steps[:i] {
			if err := r.perform(s); err != nil {
				return err
			}
		}
		return r.foreign(steps[i])
	}
	return errors.New("Harness.Compares is set, and no unit has the event AllowTraffic: name it in Events or Walk")
}

// foreign asks for a step with a wrong expectation, and then for the same step with
// leave to overwrite, as the engine does when somebody has said Continue.
func (r *run) foreign(s lifecycle.Step) error {
	wrong := lifecycle.Weight(40)
	err := r.performTask(target.Task{Step: s, Job: r.Job, Expect: &wrong})
	e, ok := errors.AsType[*lifecycle.Error](err)
	switch {
	case broken(err):
		return err
	case err == nil:
		return fmt.Errorf("%s succeeded; the unit had no traffic where %d %% was expected", s, wrong)
	case !ok || e.Code != lifecycle.ExternalChange:
		return fmt.Errorf("%s: the unit had no traffic where %d %% was expected, and the answer is not ExternalChange: %w", s, wrong, err)
	}
	if err := r.effects(s, 0); err != nil {
		return err
	}
	if err := r.performTask(target.Task{Step: s, Job: r.Job, Expect: &wrong, Foreign: target.OverwriteForeign}); err != nil {
		return onlyOr(err, "%s, asked for again and told to overwrite", s)
	}
	return r.effects(s, 1)
}

func (r *run) performTask(t target.Task) error {
	return r.answer("Perform of "+t.Step.String(), func() error { return r.Target.Perform(r.ctx, t) })
}
