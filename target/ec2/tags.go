package ec2

import (
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/tags"
)

// valid refuses what CodeDeploy refuses.
func valid(s tags.Selection) error {
	faults := s.Check()
	if len(faults) == 0 {
		return nil
	}
	words := make([]string, len(faults))
	for i, f := range faults {
		words[i] = f.Error()
	}
	return refuse(lifecycle.TargetFailed, "the tags are not right: %s", strings.Join(words, "; "))
}

// narrow is what EC2 can sort out by itself, of a selection: the first group that asks
// for one key. The rest is done here, so the rules are the same everywhere.
func narrow(s tags.Selection) Query {
	groups := s.Set
	if len(s.Filters) > 0 {
		groups = append(tags.Set{s.Filters}, groups...)
	}
	for _, g := range groups {
		if q := narrowGroup(g); q.Tags != nil {
			return q
		}
	}
	return Query{}
}

func narrowGroup(g tags.Group) Query {
	var values []string
	for _, f := range g {
		if f.Kind() == tags.ValueOnly || f.Key != g[0].Key || strings.ContainsAny(f.Value+f.Key, wildcards) {
			return Query{}
		}
		values = append(values, f.Value)
	}
	if slices.ContainsFunc(g, func(f tags.Filter) bool { return f.Kind() == tags.KeyOnly }) {
		values = nil // any will do
	}
	return Query{Tags: map[string][]string{g[0].Key: values}}
}

// wildcards are characters that mean more to EC2 than themselves.
const wildcards = `*?\`
