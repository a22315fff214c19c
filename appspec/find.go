package appspec

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Names are where an AppSpec is looked for, in this order.
func Names() []string { return []string{"appspec.yml", "appspec.yaml"} }

// Find returns the path of the AppSpec in a revision: the configured one if it is
// not empty, else the first of [Names] that is there. A configured path that is
// missing falls back to the usual names, as CodeDeploy's Install does; notes say
// so, and when two of the names are there. Nothing found: a *[Problem] of code
// [ErrAppSpecMissing], which names what the revision does hold.
func Find(fsys fs.FS, configured string) (name string, notes []*Problem, err error) {
	names := Names()
	if configured != "" {
		clean := path.Clean("/" + strings.ReplaceAll(configured, `\`, "/"))[1:]
		if climbs(strings.ReplaceAll(configured, `\`, "/")) {
			return "", nil, (&Problem{Severity: Error, Code: ErrPathEscapes,
				Why: "the AppSpec's path leaves the revision"}).found(configured)
		}
		names = append([]string{clean}, names...)
	}
	var present []string
	for _, n := range names {
		if info, err := fs.Stat(fsys, n); err == nil && info.Mode().IsRegular() && !slices.Contains(present, n) {
			present = append(present, n)
		}
	}
	if len(present) == 0 {
		return "", nil, missingAppSpec(fsys, names)
	}
	name = present[0]
	switch {
	case configured != "" && name != names[0]:
		notes = append(notes, (&Problem{File: name, Severity: Warning, Code: ErrAppSpecMissing,
			Why: "the configured AppSpec is not there, this one is used instead"}).found(configured))
	case configured == "" && len(present) > 1:
		notes = append(notes, &Problem{File: name, Severity: Warning, Code: ErrAppSpecAmbiguous,
			Why: fmt.Sprintf("%s is there, too, and is ignored", present[1]), Hint: "remove one of them"})
	}
	return name, notes, nil
}

// maxListed is how many names a message lists.
const maxListed = 10

// missingAppSpec names what is there instead: most often a directory that was
// packed with its name, or another spelling.
func missingAppSpec(fsys fs.FS, names []string) *Problem {
	pr := &Problem{Severity: Error, Code: ErrAppSpecMissing, Why: "the revision has no AppSpec",
		Allowed: strings.Join(names, " or ")}
	list := entries(fsys, ".")
	if len(list) == 0 {
		pr.Found = "an empty revision"
		return pr
	}
	pr.nearest(nearest(names[0], list))
	if len(list) == 1 && exists(fsys, path.Join(list[0], names[0])) {
		pr.hint("it lies in the directory " + quote(list[0]) + ": pack the content of that directory, not the directory")
	}
	shown := make([]string, 0, maxListed+1)
	for _, n := range list[:min(len(list), maxListed)] {
		shown = append(shown, quote(n))
	}
	if len(list) > maxListed {
		shown = append(shown, fmt.Sprintf("%d more", len(list)-maxListed))
	}
	pr.Found = strings.Join(shown, ", ")
	return pr
}
