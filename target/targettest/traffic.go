package targettest

import (
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// setWeight sets a weight and reads it back.
func (r *run) setWeight(unit string, w lifecycle.Weight) error {
	err := r.answer("SetWeight", func() error { return r.Traffic.SetWeight(r.ctx, unit, w) })
	if err != nil {
		return onlyOr(err, "SetWeight(%s, %d)", unit, w)
	}
	return r.hasWeight(unit, w)
}

func (r *run) hasWeight(unit string, want lifecycle.Weight) error {
	var got lifecycle.Weight
	err := r.answer("Weight", func() (err error) {
		got, err = r.Traffic.Weight(r.ctx, unit)
		return err
	})
	switch {
	case err != nil:
		return onlyOr(err, "Weight(%s)", unit)
	case got != want:
		return fmt.Errorf("unit %s has weight %d, not %d", unit, got, want)
	}
	return nil
}

func onlyOr(err error, format string, args ...any) error {
	if broken(err) {
		return err
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// checkAbsolute uses 0 and 100 only: hosts know no other weights.
func checkAbsolute(r *run) error {
	if r.Traffic == nil {
		return leftOut("Traffic")
	}
	units, err := r.units()
	if err != nil {
		return err
	}
	for _, w := range []lifecycle.Weight{target.Full, target.Full, 0, 0, target.Full} {
		if err := r.setWeight(units[0].ID, w); err != nil {
			return err
		}
	}
	return nil
}

func checkOneUnit(r *run) error {
	if r.Traffic == nil {
		return leftOut("Traffic")
	}
	units, err := r.units()
	if err != nil {
		return err
	}
	for _, u := range units {
		if err := r.setWeight(u.ID, target.Full); err != nil {
			return err
		}
	}
	if err := r.setWeight(units[0].ID, 0); err != nil {
		return err
	}
	for _, u := range units[1:] {
		if err := r.hasWeight(u.ID, target.Full); err != nil {
			return fmt.Errorf("after %s was set to 0: %w", units[0].ID, err)
		}
	}
	return nil
}
