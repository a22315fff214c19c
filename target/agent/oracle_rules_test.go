//go:build unix

package agent

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// oracleRule is a deliberate difference from the official agent.
type oracleRule struct {
	reason   string
	when     func(x *comparison) bool
	explains []string
	ends     bool // what later deployments of the case find differs, too
}

// everything lists all that is compared.
var everything = []string{"outcome", "events", "failed_event", "error", "script", "exit_status", "diag_log", "script_log",
	"trace", "tree", "probes", "last_successful", "most_recent", "archives"}

// early are the parts that differ when a refusal comes before anything was done.
var early = []string{"events", "failed_event", "error", "script", "exit_status", "diag_log", "script_log", "trace", "tree",
	"probes", "last_successful", "most_recent"}

var oracleRules = []oracleRule{
	{
		reason: "what cannot work is refused before anything is touched, not in the middle",
		when: func(x *comparison) bool {
			return x.want.Outcome == "failed" && x.refusedEarly() && (x.sameKind() || x.refusalOf(x.want.Error.Kind))
		},
		explains: early, ends: true,
	},
	{
		reason: "a script that is listed but missing is refused when the revision comes, also where the event with it does not come",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.refusedEarly() && x.code() == lifecycle.ScriptMissing
		},
		explains: everything, ends: true,
	},
	{
		reason: "a refused or failed install leaves the files of the installed revision alone",
		when: func(x *comparison) bool {
			return x.want.Outcome == "failed" && x.got.Outcome == "failed" && deref(x.want.FailedEvent) == "Install" &&
				x.failedIn("Install", "DownloadBundle") && same(x.got.before, x.got.Tree)
		},
		explains: []string{"tree", "probes"},
	},
	{
		reason: "scripts run in the folder of the revision",
		when: func(x *comparison) bool {
			return onlyLines(x.want.Trace, x.got.Trace, func(w, g string) bool {
				return strings.HasPrefix(w, "cwd=") && strings.HasPrefix(g, "cwd=") && strings.HasSuffix(g, "/"+archiveDir)
			})
		},
		explains: []string{"trace"},
	},
	{
		reason: "the AppSpec is read once, when the revision comes, and kept out of the reach of scripts and of accidents",
		when: func(x *comparison) bool {
			return x.want.Error != nil && slices.Contains([]string{"appspec_invalid", "appspec_yaml", "appspec_missing"}, x.want.Error.Kind) &&
				(slices.Contains(olderEvents, deref(x.want.FailedEvent)) || x.got.edited) && x.got.Outcome == "succeeded"
		},
		explains: everything, ends: true,
	},
	{
		reason: "a child that keeps the output open neither holds up nor fails a script that exited with 0",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "outputs_left_open" && x.got.Outcome == "succeeded" &&
				x.noted(lifecycle.OutputsLeftOpen)
		},
		explains: everything, ends: true,
	},
	{
		reason: "accounts are looked up before the first event",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "script_exit" && x.want.Error.ExitStatus != nil && *x.want.Error.ExitStatus == 1 &&
				x.code() == lifecycle.RunAsInvalid && deref(x.want.Error.Script) == deref(x.got.Error.Script)
		},
		explains: early, ends: true,
	},
	{
		reason: "owners and set-id bits of archive members do not count: a revision is content, and who owns it is said in permissions",
		when: func(x *comparison) bool {
			return x.d.Type != "directory" && onlyTree(x.want.Tree, x.got.Tree, func(w, g treeEntry) bool {
				w.Owner, w.Group, w.Mode = g.Owner, g.Group, withoutSpecial(w.Mode)
				g.Mode = withoutSpecial(g.Mode)
				return same(w, g)
			})
		},
		explains: []string{"tree"},
	},
	{
		reason: "an archive with members that lead out is refused as a whole",
		when: func(x *comparison) bool {
			return x.d.Type != "directory" && x.want.Outcome == "succeeded" && x.failedIn("DownloadBundle") && x.hasProblem("MemberPath", "LinkEscapes")
		},
		explains: everything, ends: true,
	},
	{
		reason: "links to directories stay links, or are refused where they lead out: expanding them copies what nobody reviewed",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.got.Outcome == "failed" && x.hasProblem("LinkEscapes", "LinkLoop")
		},
		explains: everything, ends: true,
	},
	{
		reason: "an AppSpec is refused for what would silently not count, leave the revision, or fail later (appspec.Code lists these)",
		when: func(x *comparison) bool {
			return x.refusedEarly() && x.code() == lifecycle.AppSpecInvalid && x.hasProblem(stricter...)
		},
		explains: everything, ends: true,
	},
	{
		reason: "a byte order mark and aliases within limits are fine",
		when: func(x *comparison) bool {
			return x.want.Error != nil && slices.Contains([]string{"appspec_invalid", "appspec_yaml"}, x.want.Error.Kind) &&
				x.got.Outcome == "succeeded" && slices.ContainsFunc(x.got.notes, func(n lifecycle.Note) bool {
				return n.Code == lifecycle.AppSpecInvalid && (strings.Contains(n.Text, "byte order mark") || strings.Contains(n.Text, "alias"))
			})
		},
		explains: everything, ends: true,
	},
	{
		reason: "a deployment whose folder is downloaded twice keeps it",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "bundle_already_linked"
		},
		explains: everything, ends: true,
	},
	{
		reason:   "an earlier deployment of the case ended otherwise on purpose, so this one found other files and another revision",
		when:     func(x *comparison) bool { return x.after },
		explains: everything,
	},
}

// stricter are the codes of what the agent's reader accepts and ours refuses.
var stricter = []string{"DuplicateKey", "MultipleDocuments", "PathEscapes", "BadPath", "Type", "UnknownOwner", "RunAs",
	"TagNotAllowed", "TooDeep", "TooLarge", "AliasLimit", "Timeout"}

// olderEvents take their scripts from an earlier revision.
var olderEvents = []string{"BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeAllowTraffic", "AfterAllowTraffic"}

// explain removes the differences that rules account for, and returns the reasons.
func (x *comparison) explain() (reasons []string) {
	for _, rule := range oracleRules {
		if len(x.diffs) == 0 || !rule.when(x) {
			continue
		}
		n := len(x.diffs)
		x.diffs = slices.DeleteFunc(x.diffs, func(d diff) bool { return slices.Contains(rule.explains, d.what) })
		if len(x.diffs) < n {
			reasons = append(reasons, rule.reason)
			x.parted = x.parted || rule.ends
		}
	}
	return reasons
}

func (x *comparison) code() lifecycle.Code {
	if x.got.report.Failure == nil {
		return ""
	}
	return x.got.report.Failure.Code
}

func (x *comparison) failedIn(events ...string) bool {
	return x.got.Outcome == "failed" && slices.Contains(events, x.got.report.Failed)
}

func (x *comparison) hasProblem(codes ...string) bool {
	return slices.ContainsFunc(x.got.report.Problems, func(c string) bool { return slices.Contains(codes, c) })
}

func (x *comparison) noted(code lifecycle.Code) bool {
	return slices.ContainsFunc(x.got.notes, func(n lifecycle.Note) bool { return n.Code == code })
}

// refusedEarly reports whether we refused the revision when it came, and left
// everything as it was.
func (x *comparison) refusedEarly() bool {
	return x.failedIn("DownloadBundle") && same(x.got.before, x.got.Tree)
}

func (x *comparison) sameKind() bool {
	return x.want.Error != nil && x.got.Error != nil && x.want.Error.Kind == x.got.Error.Kind
}

// refusals lists, per verdict of the agent, the codes of ours that come to the
// same thing.
var refusals = map[string][]string{
	"fs_error":       {"SourceMissing", "SourceNotDirectory", "NotDirectory", "SourceSpecial", "ReadOnly", "NoSpace", "OwnerNotPermitted", "BadPath"},
	"value_not_text": {"Type"},
	"acl_failed":     {"UnknownOwner", "ACLUnsupported"},
	"context_failed": {"ContextUnsupported"},
}

func (x *comparison) refusalOf(kind string) bool { return x.hasProblem(refusals[kind]...) }

// kinds are the verdicts of the agent for codes that have only one.
var kinds = map[lifecycle.Code]string{
	lifecycle.ScriptMissing:       "script_missing",
	lifecycle.ScriptNotExecutable: "script_spawn_failed",
	lifecycle.ScriptTimedOut:      "script_timeout",
	lifecycle.RevisionUnavailable: "appspec_missing",
	lifecycle.RevisionInvalid:     "unpack_failed",
}

// problemKinds are the verdicts for the codes of problems.
var problemKinds = map[string]string{
	"DestinationExists": "dest_exists", "OwnedByOther": "dest_exists", "DirectoryInTheWay": "dest_exists", "BadFileExists": "bad_file_exists_behavior",
	"DuplicateDestination": "duplicate_destination", "FileOverDirectory": "file_over_planned_dir", "DirectoryOverFile": "dir_over_planned_file",
	"DuplicatePermission": "duplicate_permission", "PermissionPatternOnFile": "permission_pattern_on_file",
	"PermissionExceptOnFile": "permission_except_on_file", "DefaultACLOnFile": "default_acl_on_file", "UnknownOwner": "unknown_owner",
	"ContextUnsupported": "context_failed", "ACLUnsupported": "acl_failed", "SourceMissing": "fs_error", "SourceNotDirectory": "fs_error",
	"NotDirectory": "fs_error", "AppSpecMissing": "appspec_missing", "Syntax": "appspec_yaml",
}

// kindOfFailure is what the official agent would call our failure.
func kindOfFailure(rep childReport) string {
	f := rep.Failure
	switch {
	case f.Code == lifecycle.ScriptFailed && f.Signal != "":
		return "script_signal"
	case f.Code == lifecycle.ScriptFailed:
		return "script_exit"
	case f.Code == lifecycle.AppSpecInvalid && strings.Contains(f.Message, "not an event of this deployment"):
		return "unknown_lifecycle_events"
	case f.Code == lifecycle.AppSpecInvalid && strings.Contains(f.Message, "has no hooks for it"):
		return "custom_event_not_in_appspec"
	}
	if k, ok := kinds[f.Code]; ok {
		return k
	}
	for _, p := range rep.Problems {
		if k, ok := problemKinds[p]; ok {
			return k
		}
	}
	if f.Code == lifecycle.AppSpecInvalid {
		return "appspec_invalid"
	}
	return string(f.Code)
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// onlyLines reports whether all lines that differ satisfy ok.
func onlyLines(want, got []string, ok func(w, g string) bool) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !ok(want[i], got[i]) {
			return false
		}
	}
	return true
}

func onlyTree(want, got []treeEntry, ok func(w, g treeEntry) bool) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !same(want[i], got[i]) && !ok(want[i], got[i]) {
			return false
		}
	}
	return true
}

func withoutSpecial(mode string) string {
	if len(mode) == 4 {
		return "0" + mode[1:]
	}
	return mode
}
