package install

import (
	"io/fs"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/revision"
)

// Request says what to install where.
type Request struct {
	// Root is the host's root directory, absolute and existing; "/" is the whole
	// machine. A destination /srv/app means Root/srv/app, unless it already lies
	// under Root or under one of Allow: then it is used as it is. A relative one
	// starts at Root.
	Root  string
	Allow []string

	// State is a private directory of the deployment group on this machine: undo
	// log, ownership list, kept files. It is made if it does not exist. One
	// install at a time uses it; the caller sees to that.
	State string

	// Others are the State directories of the other groups of this host, with
	// the group's name. They tell whose a file is that stands in the way.
	Others map[string]string

	// Bundle is the directory of the unpacked revision, a copy that nobody else
	// writes to. Contents, modes, owners and times of files come from it; its
	// Manifest says what is in it and carries the digests.
	Bundle   string
	Manifest revision.Manifest

	// Trial makes a plan that only tells whether the install is possible and is
	// never applied. It believes the manifest of a bundle that was copied just now
	// instead of looking at every file of it.
	Trial bool

	Spec *appspec.Spec
	// FileExists is the deployment's option, in any case; the AppSpec's own
	// setting wins. Empty: DISALLOW.
	FileExists string

	Group      string // deployment group, for messages and the books
	Deployment string // deployment id, for messages and the books

	// Strict refuses what the official agent silently ignores, such as a
	// permission entry that applies to nothing.
	Strict bool

	// Protected are absolute directories that nothing may be installed into. State
	// and Bundle always are.
	Protected []string

	// Umask is taken from the mode of directories; nil: the process's own.
	Umask *fs.FileMode

	// Drift says what happens to an installed file that somebody edited. Empty:
	// DriftReplace.
	Drift DriftPolicy

	// ToolPath is a PATH to look for semanage and restorecon in. Empty: none.
	ToolPath string
	// ToolEnv is the whole environment of these tools.
	ToolEnv []string

	// seam is called before each effect, by tests only; an error it returns is
	// taken for the effect's own.
	seam func(effect string) error
	// folds answers for tests whether a directory merges names; nil: ask it.
	folds func(dir string) bool
}

// DriftPolicy says what becomes of installed files that were edited since.
type DriftPolicy string

// The policies.
const (
	// DriftReplace treats the file as the group's own, as the official agent does.
	// The edited copy is kept in State for two more installs; a note names it.
	DriftReplace DriftPolicy = "replace"
	// DriftFail refuses the plan.
	DriftFail DriftPolicy = "fail"
)
