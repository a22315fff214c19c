package revision

import (
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"
)

// memberPath checks the name of an archive's member and returns it clean. The
// result is "." for the root itself, which many tools list.
func memberPath(name string) (string, *Error) {
	slashed := strings.ReplaceAll(name, `\`, "/")
	if why := climbs(slashed); why != "" {
		return "", refuse(MemberPath, name, "%s; members must be below the archive's root", why)
	}
	if why := oddText(name); why != "" {
		return "", refuse(MemberName, name, "%s; rename the file and pack it again", why)
	}
	if slashed != name {
		return "", refuse(MemberName, name, `has a backslash; pack with "/" between the names`)
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." {
			continue
		}
		if len(part) > maxName {
			return "", refuse(MemberName, name, "one name has %d bytes, more than %d; shorten it", len(part), maxName)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ".", nil
	}
	p := strings.Join(parts, "/")
	if !filepath.IsLocal(filepath.FromSlash(p)) {
		return "", refuse(MemberName, name, "is a name that this system reserves; rename the file")
	}
	return p, nil
}

// climbs says how a name leaves the root.
func climbs(name string) string {
	switch {
	case strings.HasPrefix(name, "/"):
		return "absolute path"
	case len(name) >= 2 && name[1] == ':' && (name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z':
		return "path with a drive letter"
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return `".." in the path`
		}
	}
	return ""
}

// oddText says why a text should be neither a name nor the text of a link.
func oddText(s string) string {
	switch {
	case s == "":
		return "empty name"
	case len(s) > maxPath:
		return "path is too long"
	case !utf8.ValidString(s):
		return "name is not UTF-8"
	}
	for _, r := range s {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029:
			return "control character in the name"
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return "character that changes the direction of text in the name"
		}
	}
	return ""
}

// foldsCase says that names that differ only in case are one file here.
const foldsCase = runtime.GOOS == "windows" || runtime.GOOS == "darwin"

// key is what a path is known by on this system.
func key(p string) string {
	if foldsCase {
		return strings.ToLower(p)
	}
	return p
}
