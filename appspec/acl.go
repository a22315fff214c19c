package appspec

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// aclTypes are the spellings of entry types.
var aclTypes = map[string]string{
	"u": "user", "user": "user", "g": "group", "group": "group",
	"m": "mask", "mask": "mask", "o": "other", "other": "other",
}

// acls reads the list of entries; nil: none given.
func (p *parser) acls(n *yaml.Node, files bool) []ACLEntry {
	if isNull(n) {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		p.wrongType(n, "a list of entries such as u:name:rw")
		return nil
	}
	members, ok := p.list(n, "a list of entries such as u:name:rw")
	if !ok {
		return nil
	}
	out := make([]ACLEntry, 0, len(members))
	for i, m := range members {
		p.pushIndex(i)
		if e, ok := p.aclEntry(m, files); ok {
			out = append(out, e)
		}
		p.pop()
	}
	return out
}

func (p *parser) aclEntry(n *yaml.Node, files bool) (ACLEntry, bool) {
	text, ok := plainText(n)
	if !ok {
		p.wrongType(n, "text such as u:name:rw").hint("put quotes around the entry")
		return ACLEntry{}, false
	}
	e, why := parseACL(text)
	if why != "" {
		p.err(ErrACL, n, why).found(text).allowed("[default:][user|group|mask|other:]name:rwx")
		return ACLEntry{}, false
	}
	if e.Default && files {
		p.warn(ErrACLDefaultOnFile, n, "a file cannot have a default entry: installing is refused if the entry meets one").
			found(text).hint("write type: [directory]")
	}
	return e, true
}

// parseACL reads one entry, from the right: permission, name, type, marker. why
// is empty when it is well formed.
func parseACL(text string) (e ACLEntry, why string) {
	parts := strings.Split(text, ":")
	n := len(parts)
	if n < 2 || n > 4 {
		return e, "an entry has 2 to 4 parts"
	}
	isDefault := func(s string) bool { return s == "d" || s == "default" }
	if n == 4 {
		if !isDefault(parts[0]) {
			return e, "an entry of 4 parts begins with default"
		}
		e.Default = true
	}
	if n >= 3 {
		switch t := parts[n-3]; {
		case isDefault(t) && e.Default:
			return e, "default is given twice"
		case isDefault(t):
			e.Default = true
		case aclTypes[t] == "":
			return e, "unknown type " + quote(t)
		default:
			e.Type = aclTypes[t]
		}
	}
	nameACL(&e, parts[n-2])
	switch {
	case (e.Type == "mask" || e.Type == "other") && e.Name != "":
		return e, "an entry for " + e.Type + " has no name"
	case !e.Default && e.Type != "mask" && e.Name == "":
		return e, "an entry for the owner, the owning group or others is set by mode"
	}
	e.Perms, why = permsACL(parts[n-1])
	return e, why
}

// nameACL sets the name, or the type where mask or other stand for it.
func nameACL(e *ACLEntry, name string) {
	t := aclTypes[name]
	short := t == "mask" || t == "other"
	switch {
	case short && e.Type == "":
		e.Type = t
	case short:
		e.Name = t
	default:
		e.Name = name
		if e.Type == "" {
			e.Type = "user"
		}
	}
}

// permsACL reads one octal digit, or letters in any order.
func permsACL(s string) (perms uint8, why string) {
	if len(s) == 1 && s[0] >= '0' && s[0] <= '7' {
		return s[0] - '0', ""
	}
	for _, r := range s {
		switch r {
		case 'r':
			perms |= 4
		case 'w':
			perms |= 2
		case 'x':
			perms |= 1
		case '-':
		default:
			return 0, "unknown permission " + quote(string(r))
		}
	}
	return perms, ""
}

// String gives the entry in the form that setfacl takes.
func (e ACLEntry) String() string {
	var b strings.Builder
	if e.Default {
		b.WriteString("default:")
	}
	b.WriteString(e.Type + ":" + e.Name + ":")
	for i, letter := range "rwx" {
		if e.Perms&(4>>i) == 0 {
			letter = '-'
		}
		b.WriteRune(letter)
	}
	return b.String()
}
