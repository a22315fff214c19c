package ec2

import (
	"fmt"

	"github.com/cutover-deploy/cutover/target/iam"
	"github.com/cutover-deploy/cutover/target/tags"
)

// which is something that the tags of instances must be, in a policy.
type which struct{ operator, key, value string }

// which says how policies know the instances of a selection: each of them meets one of
// the conditions. It is false where conditions cannot say it.
func (s Selection) which() (of []which, ok bool) {
	for _, name := range s.Groups {
		of = append(of, which{"StringEquals", groupNameTag, name})
	}
	if s.Tags.Empty() {
		return of, true
	}
	groups := s.Tags.Set
	if len(s.Tags.Filters) > 0 {
		groups = append(tags.Set{s.Tags.Filters}, groups...)
	}
	for _, g := range groups { // all of them are met, so one is enough
		if some := whichOf(g); some != nil {
			return append(of, some...), true
		}
	}
	return nil, false
}

func whichOf(g tags.Group) (of []which) {
	for _, f := range g {
		if f.Kind() != tags.KeyAndValue {
			return nil
		}
		of = append(of, which{"StringEquals", f.Key, f.Value})
	}
	return of
}

// originals are the instances that serve, and may be ended: those of the selection, and
// of copies that have taken over.
func (f *Fleet) originals() (of []which, ok bool) {
	of, ok = f.Selection.which()
	if ok && f.copies() {
		for _, name := range f.Groups {
			of = append(of, which{"StringLike", groupNameTag, name + "-*"})
		}
	}
	return of, ok
}

// copies reports whether the groups of the fleet may be copies of those that it names:
// also in place, after a blue/green deployment.
func (f *Fleet) copies() bool { return f.Green == nil || f.Green.empty() }

// members are all instances that are deployed to.
func (f *Fleet) members() (of []which, ok bool) {
	of, ok = f.originals()
	if f.copies() {
		return of, ok
	}
	more, too := f.Green.which()
	return append(of, more...), ok && too
}

// onInstances allows actions on instances that meet one of the conditions, or on all if
// that cannot be said. Tag is how the service calls the tag of a resource.
func onInstances(sid string, arns []string, tag string, of []which, ok bool, actions ...string) (all []iam.Statement) {
	if !ok {
		return []iam.Statement{iam.Allow(sid, arns, actions...)}
	}
	for i, w := range of {
		all = append(all, iam.Allow(fmt.Sprint(sid, i+1), arns, actions...).When(w.operator, tag+w.key, w.value))
	}
	return all
}
