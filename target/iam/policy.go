package iam

import (
	"encoding/json"
	"maps"
)

// Policy is a policy document. Its JSON is what IAM takes, and can be read back as long
// as actions and resources are lists and conditions have one value each.
type Policy struct {
	Version   string // of the language; [PolicyOf] sets it
	Statement []Statement
}

// Statement is one of a policy: actions that are allowed on resources.
type Statement struct {
	Sid      string   // says what it is for; letters and digits only, once in a policy
	Effect   string   // "Allow"
	Action   []string // such as "ecs:UpdateService"
	Resource []string // ARNs, in which * stands for anything
	// Condition is operator, key, value; all of them must hold. Nil: there is none.
	Condition map[string]map[string]string `json:",omitempty"`
}

// PolicyOf makes a policy of the current version of the language.
func PolicyOf(all ...Statement) Policy { return Policy{Version: "2012-10-17", Statement: all} }

// String is the policy as indented JSON.
func (p Policy) String() string {
	data, _ := json.MarshalIndent(p, "", "  ") // strings always marshal
	return string(data)
}

// Allow makes a statement about resources, by their ARNs.
func Allow(sid string, resources []string, actions ...string) Statement {
	return Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources}
}

// AllowOnAny makes a statement about every resource. It is for calls that IAM cannot
// limit to some, as most that only describe.
func AllowOnAny(sid string, actions ...string) Statement {
	return Allow(sid, []string{"*"}, actions...)
}

// When returns the statement with one more condition: it counts only where the operator
// finds the value in the key. The statement itself stays as it is.
func (s Statement) When(operator, key, value string) Statement {
	all := map[string]map[string]string{}
	for op, keys := range s.Condition {
		all[op] = maps.Clone(keys)
	}
	if all[operator] == nil {
		all[operator] = map[string]string{}
	}
	all[operator][key] = value
	s.Condition = all
	return s
}
