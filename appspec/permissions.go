package appspec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

var permissionKeys = []string{"object", "pattern", "except", "type", "owner", "group", "mode", "acls", "context"}

func (p *parser) permissions(n *yaml.Node, files []File) []Permission {
	members, ok := p.list(n, "a list of entries with object")
	if !ok || len(members) == 0 {
		return nil
	}
	if p.windows() {
		p.err(ErrNotSupportedOnOS, n, "permissions are not supported on Windows").hint("set them in a script")
		return nil
	}
	out := make([]Permission, 0, len(members))
	p.mappings(members, permissionKeys, "a mapping with object", func(m *yaml.Node) {
		out = append(out, p.permission(m, files))
		p.repeated(m, out)
	})
	return out
}

func (p *parser) permission(m *yaml.Node, files []File) Permission {
	var f [9]*yaml.Node
	p.fields(m, permissionKeys, f[:])
	perm := Permission{Pos: at(m)}
	p.at("object", func() { perm.Object = p.object(m, f[0], files) })
	p.at("pattern", func() { perm.Pattern = p.pattern(f[1]) })
	p.at("except", func() { perm.Except = p.except(f[2]) })
	p.at("type", func() { perm.Types = p.types(f[3]) })
	if perm.Pattern != "**" && slices.Equal(perm.Types, []ObjectType{TypeFile}) {
		p.at("pattern", func() {
			p.warn(ErrPattern, f[1], "with type file, CodeDeploy's documentation knows no pattern; its agent takes it for the files in the object, and refuses it if the object is a file itself").
				hint("name a directory as the object")
		})
	}
	p.at("owner", func() { perm.Owner = p.account(f[4]) })
	p.at("group", func() { perm.Group = p.account(f[5]) })
	p.at("mode", func() { perm.Mode, perm.ModeText = p.mode(f[6]) })
	p.at("acls", func() { perm.ACLs = p.acls(f[7], slices.Contains(perm.Types, TypeFile)) })
	p.at("context", func() { perm.Context = p.context(f[8]) })
	return perm
}

func (p *parser) object(m, n *yaml.Node, files []File) string {
	if isNull(n) {
		if n == nil {
			n = m
		}
		p.err(ErrMissingField, n, "no object").allowed("the path of an installed file or directory")
		return ""
	}
	text, ok := p.scalarText(n, "a path")
	if !ok {
		return ""
	}
	if text == "" {
		p.err(ErrMissingField, n, "the object is blank").allowed("the path of an installed file or directory")
		return ""
	}
	p.placeholder(n, text)
	if !p.controls(n, text) {
		return text
	}
	switch {
	case !strings.HasPrefix(text, "/"):
		p.warn(ErrBadPath, n, "a relative object is taken from the host's root").found(text).allowed("an absolute path")
	case p.partial:
	case len(files) == 0 && p.unmanaged: // said once of a file that installs nothing
	case !managed(text, files):
		p.unmanaged = true
		p.warn(ErrObjectNotManaged, n, "no entry under files installs anything there, so it has no effect").found(text)
	}
	return text
}

// managed reports whether an object can have to do with an installed file.
func managed(object string, files []File) bool {
	object = path.Clean(object)
	for _, f := range files {
		dest := path.Clean("/" + f.Destination)
		if under(object, dest) || under(dest, object) {
			return true
		}
	}
	return false
}

// pattern is kept as it is; only * is special, and it stays within one level.
func (p *parser) pattern(n *yaml.Node) string {
	if isNull(n) || isFalse(n) {
		return "**"
	}
	text, ok := p.glob(n)
	if ok && text == "" {
		p.warn(ErrPattern, n, "an empty pattern matches nothing").allowed("** for everything")
	}
	return text
}

func (p *parser) glob(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		p.wrongType(n, "text")
		return "", false
	}
	v := resolve(n)
	text := v.asText(n.Value)
	if v.kind != kindText {
		p.warn(ErrType, n, "read as the text "+quote(text)).found(n.Value).hint("put quotes around it")
	}
	switch {
	case text == "**":
	case strings.Contains(text, "/"):
		p.warn(ErrPattern, n, "it is compared with names directly below the object, so one with a slash matches nothing").
			found(text).hint("name the deeper directory as the object")
	case strings.ContainsAny(text, "[?"):
		p.warn(ErrPattern, n, "only * is special, other characters are taken literally").found(text)
	case text == "..":
		p.warn(ErrPattern, n, "no file has this name, so it matches nothing").found(text)
	}
	return text, true
}

func (p *parser) except(n *yaml.Node) []string {
	members, ok := p.words(n, "a list of patterns")
	if !ok {
		return nil
	}
	var out []string
	for i, m := range members {
		p.pushIndex(i)
		if isNull(m) {
			p.wrongType(m, "a pattern")
		} else if text, ok := p.glob(m); ok {
			out = append(out, text)
		}
		p.pop()
	}
	return out
}

// words is list, with a hint for a single word where a list is needed.
func (p *parser) words(n *yaml.Node, want string) ([]*yaml.Node, bool) {
	if n != nil && n.Kind == yaml.ScalarNode && !isNull(n) && !isFalse(n) {
		p.wrongType(n, want).hint("write a list of one: [" + plainKey(n.Value) + "]; CodeDeploy's agent fails on a single word")
		return nil, false
	}
	return p.list(n, want)
}

// types are what the entry applies to; both, unless said.
func (p *parser) types(n *yaml.Node) []ObjectType {
	both := []ObjectType{TypeFile, TypeDirectory}
	members, ok := p.words(n, "a list of file and directory")
	switch {
	case !ok:
		return nil
	case members == nil && (n == nil || n.Kind != yaml.SequenceNode):
		return both
	case len(members) == 0:
		p.warn(ErrEnum, n, "an empty list of types matches nothing").allowed("file, directory or both")
	}
	out := make([]ObjectType, 0, 2)
	for i, m := range members {
		p.pushIndex(i)
		text, ok := plainText(m)
		if t := ObjectType(text); ok && slices.Contains(both, t) {
			out = append(out, t)
		} else {
			pr := p.err(ErrEnum, m, "not a known type").allowed("file or directory")
			pr.Found = describe(m)
			pr.nearest(nearest(strip(m.Value), []string{"file", "directory"}))
		}
		p.pop()
	}
	return out
}

// account reads an owner or group. Whether it exists only a host can tell.
func (p *parser) account(n *yaml.Node) string {
	if isNull(n) {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		p.wrongType(n, "a name")
		return ""
	}
	v := resolve(n)
	text := v.asText(n.Value)
	switch {
	case v.kind == kindInt && v.num >= 0 && !v.huge:
		p.warn(ErrUnknownOwner, n, "a number is taken as an id here; CodeDeploy's agent takes names only").found(n.Value)
	case v.kind != kindText:
		p.wrongType(n, "a name").hint("put quotes around it")
	case text == "" || badUser(text) != "" && !plainSpace(text):
		p.err(ErrUnknownOwner, n, "no account can have this name").found(text).allowed("the name of an account")
	}
	return text
}

// plainSpace allows blanks inside of names, which directory services use.
func plainSpace(name string) bool {
	return strings.Contains(name, " ") && strip(name) == name && badUser(strings.ReplaceAll(name, " ", "")) == ""
}

// repeated warns when the last entry meets an object that an earlier one covers
// as a whole: installing refuses to apply two entries to one object.
func (p *parser) repeated(m *yaml.Node, perms []Permission) {
	last := perms[len(perms)-1]
	if last.Object == "" {
		return
	}
	for _, other := range perms[:len(perms)-1] {
		if path.Clean(other.Object) == path.Clean(last.Object) && shareType(other.Types, last.Types) &&
			(other.Pattern == last.Pattern || other.Pattern == "**" || last.Pattern == "**") &&
			len(other.Except)+len(last.Except) == 0 {
			p.warn(ErrDuplicatePermission, m, fmt.Sprintf("the entry on line %d is for the same object", other.Pos.Line)).
				found(last.Object).hint("join them: two entries for one file or directory are refused at Install")
			return
		}
	}
}

func shareType(a, b []ObjectType) bool {
	return slices.ContainsFunc(a, func(t ObjectType) bool { return slices.Contains(b, t) })
}
