package tags

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// CodeDeploy's limits.
const (
	MaxFilters = 10  // in a group, or without groups
	MaxGroups  = 3   // of one selection
	MaxKey     = 128 // characters
	MaxValue   = 256 // characters
)

// Group is filters of which any may match.
type Group []Filter

// Match reports whether one of the filters matches. An empty group matches nothing.
func (g Group) Match(tags map[string]string) bool {
	return slices.ContainsFunc(g, func(f Filter) bool { return f.Match(tags) })
}

// Set is groups that all have to match (CodeDeploy: ec2TagSet, onPremisesTagSet).
type Set []Group

// Match reports whether each group matches. An empty set matches nothing.
func (s Set) Match(tags map[string]string) bool {
	return len(s) > 0 && !slices.ContainsFunc(s, func(g Group) bool { return !g.Match(tags) })
}

// Selection is what a deployment group says about tags: plain filters or a set,
// not both. The zero value chooses nothing.
type Selection struct {
	Filters Group `json:"filters,omitempty"` // any of them (ec2TagFilters, onPremisesInstanceTagFilters)
	Set     Set   `json:"tagSet,omitempty"`  // one of each group
}

// Match reports whether something with these tags is chosen. Of a selection with
// both parts, which Check refuses, both have to match.
func (s Selection) Match(tags map[string]string) bool {
	switch {
	case len(s.Set) == 0:
		return s.Filters.Match(tags)
	case len(s.Filters) == 0:
		return s.Set.Match(tags)
	}
	return s.Filters.Match(tags) && s.Set.Match(tags)
}

// Empty reports whether the selection says nothing.
func (s Selection) Empty() bool { return len(s.Filters) == 0 && len(s.Set) == 0 }

// String is the selection as [Parse] reads it. Plain filters are one group.
func (s Selection) String() string {
	groups := s.Set
	if len(s.Filters) > 0 {
		groups = append(Set{s.Filters}, groups...)
	}
	texts := make([]string, len(groups))
	for i, g := range groups {
		words := make([]string, len(g))
		for k, f := range g {
			words[k] = f.String()
		}
		texts[i] = strings.Join(words, ", ")
	}
	return strings.Join(texts, "; ")
}

// Fault is something that CodeDeploy would refuse in a selection.
type Fault struct {
	Group  int    // from 0; -1: the filters, or the whole
	Filter int    // from 0; -1: the whole group
	Why    string // what is wrong, and what is allowed
}

// Error says where, counting from one, and why.
func (f *Fault) Error() string {
	var where string
	if f.Group >= 0 {
		where = fmt.Sprintf("tag group %d: ", f.Group+1)
	}
	if f.Filter >= 0 {
		where += fmt.Sprintf("filter %d: ", f.Filter+1)
	}
	return where + f.Why
}

// Check returns all that is wrong, in order; nil: nothing. An empty selection is
// wrong only where somebody needs one, so it is no fault here.
func (s Selection) Check() []*Fault {
	var faults []*Fault
	if len(s.Filters) > 0 && len(s.Set) > 0 {
		faults = append(faults, &Fault{-1, -1, "there are filters and tag groups; CodeDeploy takes one or the other"})
	}
	if len(s.Set) > MaxGroups {
		faults = append(faults, &Fault{-1, -1, fmt.Sprintf("there are %d tag groups; at most %d are allowed", len(s.Set), MaxGroups)})
	}
	if len(s.Filters) > 0 {
		faults = append(faults, s.Filters.check(-1)...)
	}
	for i, g := range s.Set {
		faults = append(faults, g.check(i)...)
	}
	return faults
}

func (g Group) check(at int) []*Fault {
	var faults []*Fault
	if len(g) == 0 || len(g) > MaxFilters {
		faults = append(faults, &Fault{at, -1, fmt.Sprintf("there are %d filters; 1 to %d are allowed", len(g), MaxFilters)})
	}
	for k, f := range g {
		if why := f.wrong(); why != "" {
			faults = append(faults, &Fault{at, k, why})
		}
	}
	return faults
}

// wrong says what is wrong with a filter; empty: nothing.
func (f Filter) wrong() string {
	kind := f.Kind()
	switch {
	case kind == "":
		return "has neither key nor value, and would choose nothing"
	case !slices.Contains([]Type{KeyOnly, ValueOnly, KeyAndValue}, kind):
		return fmt.Sprintf("type %q is none; use %s, %s or %s", kind, KeyOnly, ValueOnly, KeyAndValue)
	case kind != ValueOnly && f.Key == "":
		return "has no key, which " + string(kind) + " asks for"
	case kind == KeyOnly && f.Value != "", kind == ValueOnly && f.Key != "":
		return string(kind) + " does not look at the other half; leave it out, or use " + string(KeyAndValue)
	case utf8.RuneCountInString(f.Key) > MaxKey:
		return fmt.Sprintf("the key has %d characters; at most %d are allowed", utf8.RuneCountInString(f.Key), MaxKey)
	case utf8.RuneCountInString(f.Value) > MaxValue:
		return fmt.Sprintf("the value has %d characters; at most %d are allowed", utf8.RuneCountInString(f.Value), MaxValue)
	}
	return ""
}
