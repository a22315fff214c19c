package strategy

import (
	"iter"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// Standing is what a group is known to be: the input of its next deployment.
type Standing struct {
	LastGood   *revision.Revision
	Units      map[string]lifecycle.Unit // Healthy and Revision, by id
	Quarantine []string                  // digests of revisions that were rolled back and have not succeeded since
	// Leftover lists replacements that were made for deployments that did not succeed,
	// and that nobody has retired.
	Leftover []string
}

// Standing says how the deployment leaves its group, by CodeDeploy's rules: only
// units that were touched change after a failure; after a success, those that did
// not get the revision are no longer healthy. The state must have a plan.
func (s *State) Standing() Standing {
	st := Standing{LastGood: s.plan.LastGood, Units: make(map[string]lifecycle.Unit, len(s.units))}
	good := s.finished != nil && s.finished.Verdict == DeploymentSucceeded
	st.Quarantine = slices.DeleteFunc(slices.Clone(s.plan.Quarantine), func(d string) bool { return good && d == s.plan.Revision.Digest })
	if s.finished != nil && s.finished.Rollback != "" && !slices.Contains(st.Quarantine, s.plan.Revision.Digest) {
		st.Quarantine = append(st.Quarantine, s.plan.Revision.Digest)
	}
	if good && s.plan.Revision.Digest != "" {
		rev := s.plan.Revision
		st.LastGood = &rev
	}
	st.Leftover = s.Leftover(good)
	for _, u := range s.Each() {
		st.Units[u.ID] = u
	}
	return st
}

// Each goes through the units in the order of the plan: how each stands, and what
// the deployment leaves it as, by its Healthy and its Revision. The *Unit is the
// state's own: it is good until the next Apply, and must not be changed.
func (s *State) Each() iter.Seq2[*Unit, lifecycle.Unit] {
	good := s.finished != nil && s.finished.Verdict == DeploymentSucceeded
	return func(yield func(*Unit, lifecycle.Unit) bool) {
		for i := range s.units {
			if u := &s.units[i]; !yield(&u.Unit, s.left(u, good)) {
				return
			}
		}
	}
}

func (s *State) left(u *unit, good bool) lifecycle.Unit {
	next := lifecycle.Unit{ID: u.ID, Zone: u.Zone, Role: u.Role, Healthy: u.Healthy, Revision: u.Revision}
	switch {
	case u.Role == lifecycle.ReplacementRole && u.retired():
		next.Healthy, next.Revision = false, ""
	case u.Status == Succeeded && u.Role == lifecycle.OriginalRole:
		next.Healthy = s.plan.RollbackOf != "" // else it is out of traffic, and still what it was
	case u.Status == Succeeded && u.Role != "" && s.plan.RollbackOf != "":
		next.Healthy, next.Revision = false, ""
	case u.Status == Succeeded:
		next.Healthy, next.Revision = true, s.plan.Revision.Digest
	case u.Touched:
		next.Healthy, next.Revision = false, ""
	case u.Failure != nil && u.Failure.Code == lifecycle.UnitLost:
		next.Healthy = false // nobody has seen it since; what it runs was not touched
	case good && s.plan.RollbackOf == "" && u.Revision != s.plan.Revision.Digest:
		next.Healthy, next.Revision = false, ""
	}
	return next
}
