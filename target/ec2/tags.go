package ec2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Tag is one of CodeDeploy's tag filters. An empty Key or Value is any, so the three
// kinds are KEY_ONLY, VALUE_ONLY and KEY_AND_VALUE. Case matters, and * is a
// character like any other.
type Tag struct {
	Key   string
	Value string
}

// String is the tag as key=value, with * for any.
func (t Tag) String() string {
	any := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	return any(t.Key) + "=" + any(t.Value)
}

func (t Tag) matches(tags map[string]string) bool {
	if t.Key != "" {
		v, ok := tags[t.Key]
		return ok && (t.Value == "" || v == t.Value)
	}
	for _, v := range tags {
		if v == t.Value {
			return true
		}
	}
	return false
}

// TagGroups are CodeDeploy's tag groups (ec2TagSet): an instance matches if it matches
// at least one tag of every group. No group: tags choose nothing.
type TagGroups [][]Tag

// valid refuses what CodeDeploy refuses, and what would match everything.
func (g TagGroups) valid() error {
	if len(g) > 3 {
		return refuse(lifecycle.TargetFailed, "there are %d tag groups; CodeDeploy allows 3", len(g))
	}
	for i, tags := range g {
		if len(tags) == 0 || len(tags) > 10 {
			return refuse(lifecycle.TargetFailed, "tag group %d has %d tags, not 1 to 10", i+1, len(tags))
		}
		if slices.Contains(tags, Tag{}) {
			return refuse(lifecycle.TargetFailed, "tag group %d has a tag without key and value: it would match every tagged instance", i+1)
		}
	}
	return nil
}

func (g TagGroups) match(tags map[string]string) bool {
	for _, group := range g {
		if !slices.ContainsFunc(group, func(t Tag) bool { return t.matches(tags) }) {
			return false
		}
	}
	return len(g) > 0
}

// query is what EC2 can sort out by itself: the first group that asks for one key.
func (g TagGroups) query() Query {
	for _, group := range g {
		var values []string
		key, any := group[0].Key, false
		for _, t := range group {
			if t.Key != key {
				key = ""
			}
			any = any || t.Value == ""
			values = append(values, t.Value)
		}
		switch {
		case key == "":
		case any:
			return Query{Tags: map[string][]string{key: nil}}
		case !slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, `*?\`) }): // EC2's wildcards
			return Query{Tags: map[string][]string{key: values}}
		}
	}
	return Query{}
}

// String is the groups in words.
func (g TagGroups) String() string {
	groups := make([]string, len(g))
	for i, tags := range g {
		words := make([]string, len(tags))
		for k, t := range tags {
			words[k] = t.String()
		}
		groups[i] = strings.Join(words, " or ")
		if len(g) > 1 && len(tags) > 1 {
			groups[i] = fmt.Sprintf("(%s)", groups[i])
		}
	}
	return strings.Join(groups, " and ")
}
