package tags

import (
	"strconv"
	"strings"
)

// Type says which parts of a tag a filter looks at.
type Type string

// The types, as CodeDeploy calls them.
const (
	KeyOnly     Type = "KEY_ONLY"
	ValueOnly   Type = "VALUE_ONLY"
	KeyAndValue Type = "KEY_AND_VALUE"
)

// Filter is one of CodeDeploy's tag filters, in its JSON form too. A filter without
// key and value matches nothing.
type Filter struct {
	Key   string `json:"Key,omitempty"`
	Value string `json:"Value,omitempty"`

	// Type says what counts. Empty: what is set; so a tag whose value is the empty
	// text needs KeyAndValue.
	Type Type `json:"Type,omitempty"`
}

// Kind is the type, worked out where Type is empty. It is empty if the filter says
// nothing.
func (f Filter) Kind() Type {
	switch {
	case f.Type != "":
		return f.Type
	case f.Key != "" && f.Value != "":
		return KeyAndValue
	case f.Key != "":
		return KeyOnly
	case f.Value != "":
		return ValueOnly
	}
	return ""
}

// Match reports whether one of the tags is what the filter asks for.
func (f Filter) Match(tags map[string]string) bool {
	value, has := tags[f.Key]
	switch f.Kind() {
	case KeyOnly:
		return has
	case KeyAndValue:
		return has && value == f.Value
	case ValueOnly:
		for _, v := range tags {
			if v == f.Value {
				return true
			}
		}
	}
	return false
}

// String is the filter as [Parse] reads it: key, key=value or =value.
func (f Filter) String() string {
	switch f.Kind() {
	case KeyOnly:
		return word(f.Key)
	case ValueOnly:
		return "=" + word(f.Value)
	case KeyAndValue:
		return word(f.Key) + "=" + word(f.Value)
	}
	return `""`
}

// word is a key or a value, quoted where it could be misread.
func word(s string) string {
	plain := func(r rune) bool {
		return r > ' ' && r < 0x7f && !strings.ContainsRune(`,;="`, r)
	}
	for _, r := range s {
		if !plain(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
