package revision

import (
	"io/fs"
	"slices"
	"strings"
)

const (
	maxHops  = 40     // as many links as systems follow in one path
	maxSteps = 10_000 // names looked at for one link
)

// checkLinks refuses links that lead out of the revision's root, also through
// other links. Members are all known by now, so the order in the archive does
// not matter.
func (u *unpacker) checkLinks() error {
	var links []*member
	for _, m := range u.members {
		if m.Mode.Type() == fs.ModeSymlink {
			links = append(links, m)
		}
	}
	slices.SortFunc(links, func(a, b *member) int { return strings.Compare(a.Path, b.Path) })
	for _, m := range links {
		if why := u.follow(m); why != "" {
			return refuse(LinkEscapes, m.Path, "link to %q %s; make it relative and keep it inside the revision", m.Link, why)
		}
	}
	return nil
}

// addLink takes a symbolic link in.
func (u *unpacker) addLink(name, text string, m *member) error {
	if m == nil {
		return refuse(MemberName, name, "is the root of the archive and a link")
	}
	if why := oddText(text); why != "" {
		return refuse(MemberName, name, "text of the link: %s", why)
	}
	if why := absoluteLink(text); why != "" {
		return refuse(LinkEscapes, name, "link to %q %s; make it relative and keep it inside the revision", text, why)
	}
	m.Link = text
	return nil
}

func absoluteLink(text string) string {
	switch {
	case strings.HasPrefix(text, "/"), len(text) > 1 && text[1] == ':':
		return "is absolute"
	case strings.Contains(text, `\`):
		return "has a backslash"
	}
	return ""
}

// follow walks as the system would, over the members that there are. What is
// missing counts as a folder: a dangling link inside the revision is fine.
func (u *unpacker) follow(m *member) string {
	at := strings.Split(m.Path, "/")
	at = at[:len(at)-1]
	root := 0
	if u.top != "" {
		root = 1
	}
	todo := strings.Split(m.Link, "/")
	hops := 0
	for step := 0; len(todo) > 0; step++ {
		if step > maxSteps {
			return "leads through too many names"
		}
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) <= root {
				return "leads out"
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at, part)
		next := u.members[key(strings.Join(at, "/"))]
		if next == nil || next.Mode.Type() != fs.ModeSymlink {
			continue
		}
		if hops++; hops > maxHops {
			return "" // a loop: no system follows it anywhere
		}
		at = at[:len(at)-1]
		todo = append(strings.Split(next.Link, "/"), todo...)
	}
	return ""
}
