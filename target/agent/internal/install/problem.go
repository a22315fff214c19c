package install

import (
	"fmt"

	"github.com/cutover-deploy/cutover/appspec"
)

// Code says what is wrong with a plan.
type Code string

// The codes. The comments name the official agent's verdict where it has one.
const (
	SourceMissing      Code = "SourceMissing"      // fs_error ENOENT, after other files were copied
	SourceNotDirectory Code = "SourceNotDirectory" // fs_error ENOTDIR
	SourceEscapes      Code = "SourceEscapes"      // succeeds: it has no containment
	SourceSpecial      Code = "SourceSpecial"      // hangs on pipes, fails on sockets
	SourceChanged      Code = "SourceChanged"      // the bundle is not what its manifest says
	LinkEscapes        Code = "LinkEscapes"        // succeeds: link to a directory outside is copied
	LinkLoop           Code = "LinkLoop"           // succeeds: copies forty nested levels

	BadPath              Code = "BadPath"              // not checked
	Protected            Code = "Protected"            // not checked
	DestinationEscapes   Code = "DestinationEscapes"   // succeeds: writes through links
	NotDirectory         Code = "NotDirectory"         // fs_error ENOTDIR or EEXIST
	DirectoryInTheWay    Code = "DirectoryInTheWay"    // succeeds: the file lands inside the directory
	SpecialInTheWay      Code = "SpecialInTheWay"      // hangs on pipes
	DestinationExists    Code = "DestinationExists"    // dest_exists
	OwnedByOther         Code = "OwnedByOther"         // dest_exists under DISALLOW, else succeeds
	BadFileExists        Code = "BadFileExists"        // bad_file_exists_behavior
	DuplicateDestination Code = "DuplicateDestination" // duplicate_destination
	FileOverDirectory    Code = "FileOverDirectory"    // file_over_planned_dir
	DirectoryOverFile    Code = "DirectoryOverFile"    // dir_over_planned_file
	NameCollision        Code = "NameCollision"        // not checked

	DuplicatePermission     Code = "DuplicatePermission"     // duplicate_permission
	PermissionPatternOnFile Code = "PermissionPatternOnFile" // permission_pattern_on_file
	PermissionExceptOnFile  Code = "PermissionExceptOnFile"  // permission_except_on_file
	PermissionUnused        Code = "PermissionUnused"        // succeeds silently; refused under Strict only
	DefaultACLOnFile        Code = "DefaultACLOnFile"        // default_acl_on_file
	UnknownOwner            Code = "UnknownOwner"            // unknown_owner, or acl_failed; after everything was copied
	OwnerNotPermitted       Code = "OwnerNotPermitted"       // fs_error EPERM
	ACLUnsupported          Code = "ACLUnsupported"          // acl_failed
	ContextUnsupported      Code = "ContextUnsupported"      // context_failed

	NoSpace     Code = "NoSpace"     // fs_error ENOSPC in the middle
	ReadOnly    Code = "ReadOnly"    // fs_error EROFS, EPERM or EACCES in the middle
	CrossDevice Code = "CrossDevice" // not checked
	Drift       Code = "Drift"       // not checked; with DriftFail only
	Unfinished  Code = "Unfinished"  // an earlier install was cut off: call Recover first
	BooksLost   Code = "BooksLost"   // the ownership list is damaged
)

// Problem is one reason why a plan is refused. Nothing was touched.
type Problem struct {
	Code  Code
	Path  string      // destination, object or source that it is about; may be empty
	Group string      // for OwnedByOther: whose the path is
	Pos   appspec.Pos // entry of the AppSpec; zero: none
	Text  string      // what, and what to do about it
}

// Error is the position and the text.
func (p *Problem) Error() string {
	if p.Pos.Line > 0 {
		return fmt.Sprintf("appspec line %d: %s", p.Pos.Line, p.Text)
	}
	return p.Text
}
