//go:build unix

package agent

import (
	"regexp"
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
		reason: "one fault of a revision is as good a reason as another",
		when: func(x *comparison) bool {
			return x.want.Outcome == "failed" && x.failedIn(deref(x.want.FailedEvent)) && x.want.Error.Kind != x.got.Error.Kind &&
				(x.sameKind() || x.refusalOf(x.want.Error.Kind))
		},
		explains: []string{"error"},
	},
	{
		reason: "a script that every deployment comes to is refused when the revision comes if it is missing or cannot be run, also where its event is left out",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.refusedEarly() && x.hasProblem("ScriptMissing", "ScriptType", "ScriptCRLF", "ScriptUnreadable") &&
				(!slices.Contains(x.want.Events, string(lifecycle.ValidateService)) || x.hasProblem("ScriptType"))
		},
		explains: everything, ends: true,
	},
	{
		reason: "a revision that cannot be installed is refused when it comes, also if Install never does",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.refusedEarly() && !slices.Contains(x.want.Events, "Install") &&
				x.hasCode(lifecycle.AppSpecInvalid, lifecycle.RunAsInvalid, lifecycle.InstallRefused)
		},
		explains: everything, ends: true,
	},
	{
		reason: "a refused or failed install leaves the files of the installed revision alone",
		when: func(x *comparison) bool {
			return x.want.Outcome == "failed" && deref(x.want.FailedEvent) == "Install" &&
				x.failedIn("Install", "DownloadBundle") && same(x.got.before, x.got.Tree)
		},
		explains: []string{"tree", "probes"},
	},
	{
		reason: "scripts run in the folder of the revision",
		when: func(x *comparison) bool {
			return slices.ContainsFunc(x.diffs, func(d diff) bool { return inFolder.ReplaceAllString(d.got, "{{ROOT}}$1") == d.want })
		},
		explains: []string{"trace", "script_log", "diag_log", "probes"},
	},
	{
		reason:   "scripts run in the folder of the revision, so what they write under relative paths is there",
		when:     func(x *comparison) bool { return len(x.got.extra) > 0 },
		explains: []string{"trace", "probes", "tree"},
	},
	{
		reason: "the AppSpec is read once, when the revision comes, and kept out of the reach of scripts",
		when: func(x *comparison) bool {
			return x.got.specEdited
		},
		explains: everything, ends: true,
	},
	{
		reason: "the AppSpec of the installed revision is kept as it was read, whatever becomes of its folder",
		when: func(x *comparison) bool {
			return x.want.Error != nil && slices.Contains([]string{"appspec_invalid", "appspec_yaml", "appspec_missing"}, x.want.Error.Kind) &&
				slices.Contains(olderEvents, deref(x.want.FailedEvent)) && x.n > 0 && x.got.Outcome == "succeeded"
		},
		explains: everything, ends: true,
	},
	{
		reason: "the usual names of an AppSpec count for every event, not only for Install",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "appspec_missing" && x.got.Outcome == "succeeded" &&
				(x.n == 0 || !slices.Contains(olderEvents, deref(x.want.FailedEvent)))
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
		reason: "what a child prints seconds after its script has ended is not waited for",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.got.Outcome == "succeeded" && x.noted(lifecycle.OutputsLeftOpen)
		},
		explains: []string{"script_log", "trace", "probes"},
	},
	{
		reason: "what a failed script has left running is ended",
		when: func(x *comparison) bool {
			return x.hasCode(lifecycle.ScriptFailed, lifecycle.ScriptTimedOut) && x.sameKind() && x.endedMore()
		},
		explains: []string{"probes"},
	},
	{
		reason: "what a script left running when the agent died is ended by the next step",
		when: func(x *comparison) bool {
			return x.n > 0 && x.c.Want[x.n-1].Outcome == "crashed" && x.noted(lifecycle.Interrupted)
		},
		explains: []string{"trace", "probes", "script_log"},
	},
	{
		reason: "accounts are looked up before the first event",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "script_exit" && x.want.Error.ExitStatus != nil && *x.want.Error.ExitStatus == 1 &&
				x.hasCode(lifecycle.RunAsInvalid) && deref(x.want.Error.Script) == deref(x.got.Error.Script)
		},
		explains: early, ends: true,
	},
	{
		reason: "owners, set-id bits and world-writable modes of archive members do not count: a revision is content, and the rest is said in permissions",
		when: func(x *comparison) bool {
			return x.d.Type != "directory" && onlyTree(x.want.Tree, x.got.Tree, func(w, g treeEntry) bool {
				w.Owner, w.Group, w.Mode = g.Owner, g.Group, withoutDangers(w)
				return same(w, g)
			})
		},
		explains: []string{"tree"},
	},
	{
		reason: "an archive with members that lead out, or that two tools would unpack differently, is refused as a whole",
		when: func(x *comparison) bool {
			return x.d.Type != "directory" && x.want.Outcome == "succeeded" && x.failedIn("DownloadBundle") && x.hasProblem(hostile...)
		},
		explains: everything, ends: true,
	},
	{
		reason: "archives are recognised by their content, whatever they are called",
		when: func(x *comparison) bool {
			return x.d.Type != "directory" && x.want.Error != nil && x.want.Error.Kind == "unpack_failed" && x.got.Outcome == "succeeded"
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
		reason: "nothing is installed outside of the host's root, through links, or over files of another group, whatever the file-exists behaviour",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.got.Outcome == "failed" && x.hasProblem("DestinationEscapes", "OwnedByOther", "Protected", "SourceEscapes", "BadPath")
		},
		explains: everything, ends: true,
	},
	{
		reason: "a foreign file that OVERWRITE has replaced comes back when its path is no longer installed",
		when: func(x *comparison) bool {
			more, less := treeDiff(x.want.Tree, x.got.Tree)
			return x.overwrote() && len(more) > 0 && len(less) == 0 && !slices.ContainsFunc(more, func(e treeEntry) bool { return !x.wasBefore(e) })
		},
		explains: []string{"tree"},
	},
	{
		reason: "a directory that was installed stays known as such while foreign files keep it, and goes when it is empty",
		when: func(x *comparison) bool {
			more, less := treeDiff(x.want.Tree, x.got.Tree)
			return len(more) == 0 && len(less) > 0 && !slices.ContainsFunc(less, func(e treeEntry) bool { return e.Type != "dir" || !x.madeBefore(e) })
		},
		explains: []string{"tree"},
	},
	{
		reason: "a directory that a destination only passes through on its way to a .. is not made",
		when: func(x *comparison) bool {
			more, less := treeDiff(x.want.Tree, x.got.Tree)
			return len(more) == 0 && len(less) > 0 && x.upwards() && !slices.ContainsFunc(less, func(e treeEntry) bool { return e.Type != "dir" })
		},
		explains: []string{"tree"},
	},
	{
		reason: "an AppSpec is refused for what would silently not count, leave the revision, or fail later (appspec.Code lists these)",
		when: func(x *comparison) bool {
			return x.refusedEarly() && x.hasCode(lifecycle.AppSpecInvalid) && x.hasProblem(stricter...)
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
		reason: "a revision that is downloaded twice in one deployment is simply there",
		when: func(x *comparison) bool {
			return x.repeats("DownloadBundle") || x.reused()
		},
		explains: everything, ends: true,
	},
	{
		reason: "a directory is not replaced by a file, nor does the file land in it",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.refusedEarly() && x.overwrote() && x.hasProblem("DirectoryInTheWay")
		},
		explains: everything, ends: true,
	},
	{
		reason: "a link at the path of a file is what is there, even if it leads nowhere: it is kept or replaced, never written through",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && (x.refusedEarly() && x.hasProblem("DestinationExists", "BadFileExists") || x.got.Outcome == "succeeded") &&
				x.wroteThroughLink()
		},
		explains: everything, ends: true,
	},
	{
		reason: "OVERWRITE replaces a foreign file also by a link",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "fs_error" && deref(x.want.FailedEvent) == "Install" && x.got.Outcome == "succeeded" &&
				x.overwrote() && x.replacedByLink()
		},
		explains: everything, ends: true,
	},
	{
		reason: "what lies behind a link that has taken the place of an installed directory is not removed",
		when: func(x *comparison) bool {
			more, less := treeDiff(x.want.Tree, x.got.Tree)
			return len(more) > 0 && len(less) == 0 && x.linkForDirectory() &&
				!slices.ContainsFunc(more, func(e treeEntry) bool { return !inTree(x.got.before, e) })
		},
		explains: []string{"tree"},
	},
	{
		reason: "an AppSpec that lists a missing source or one path twice is refused, also where RETAIN would skip the file",
		when: func(x *comparison) bool {
			return x.want.Outcome == "succeeded" && x.refusedEarly() && x.hasProblem("SourceMissing", "DuplicateDestination") && x.retained()
		},
		explains: everything, ends: true,
	},
	{
		reason: "no file-exists behaviour means the default",
		when: func(x *comparison) bool {
			return x.d.FileExists == "" && x.want.Error != nil && x.want.Error.Kind == "bad_file_exists_behavior" && x.got.Outcome == "failed" &&
				x.hasProblem("DestinationExists", "DirectoryInTheWay") && same(x.got.before, x.got.Tree)
		},
		explains: early, ends: true,
	},
	{
		reason: "a program that this machine cannot run is not given to the shell",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "script_exit" && x.hasCode(lifecycle.ScriptNotExecutable) &&
				deref(x.want.FailedEvent) == x.got.report.Failed && deref(x.want.Error.Script) == deref(x.got.Error.Script)
		},
		explains: []string{"error", "exit_status", "diag_log", "script_log"},
	},
	{
		reason: "0644 means octal 644 with and without quotes, and other notations of numbers are no modes",
		when: func(x *comparison) bool {
			if !oddMode.MatchString(x.specText(x.n)) {
				return false
			}
			if x.want.Outcome == "succeeded" && x.got.Outcome == "succeeded" {
				return onlyTree(x.want.Tree, x.got.Tree, func(w, g treeEntry) bool { w.Mode = g.Mode; return same(w, g) })
			}
			return x.want.Outcome == "succeeded" && x.refusedEarly() && x.hasProblem("Mode") ||
				x.want.Error != nil && x.want.Error.Kind == "appspec_invalid" && x.got.Outcome == "succeeded"
		},
		explains: everything, ends: true,
	},
	{
		reason: "set-id bits that permissions ask for stay when they set an owner, too",
		when: func(x *comparison) bool {
			return onlyTree(x.want.Tree, x.got.Tree, func(w, g treeEntry) bool {
				special := g.Type == "file" && w.Mode == withoutSpecial(g.Mode) && w.Mode != g.Mode
				w.Mode = g.Mode
				return special && same(w, g)
			})
		},
		explains: []string{"tree"},
	},
	{
		reason: "permissions are not applied through links",
		when: func(x *comparison) bool {
			return onlyTree(x.want.Tree, x.got.Tree, func(w, g treeEntry) bool {
				linked := linkedIn(x.want.Tree, w)
				w.Mode, w.Owner, w.Group = g.Mode, g.Owner, g.Group
				return linked && same(w, g)
			})
		},
		explains: []string{"tree"},
	},
	{
		reason: "the scripts of the installed revision are those of the AppSpec that it was deployed with",
		when: func(x *comparison) bool {
			return x.renamedSpec() && x.want.Outcome == "succeeded" && x.got.Outcome == "succeeded"
		},
		explains: []string{"script_log", "trace"},
	},
	{
		reason: "the AppSpec of the installed revision is found, whatever the new deployment's is called",
		when: func(x *comparison) bool {
			return x.renamedSpec() && x.want.Error != nil && strings.HasPrefix(x.want.Error.Kind, "appspec_") && slices.Contains(olderEvents, deref(x.want.FailedEvent))
		},
		explains: everything, ends: true,
	},
	{
		reason: "a directory that a destination only passes through on its way to a .. is not made, so nothing is in its way",
		when: func(x *comparison) bool {
			return x.want.Error != nil && x.want.Error.Kind == "fs_error" && deref(x.want.FailedEvent) == "Install" && x.upwards() && x.got.Outcome == "succeeded"
		},
		explains: everything, ends: true,
	},
	{
		reason: "the agent keeps its books in other files",
		when: func(x *comparison) bool {
			return x.touchesBooks()
		},
		explains: everything, ends: true,
	},
	{
		reason: "the agent keeps its books in other files, where a probe looks for them",
		when: func(x *comparison) bool {
			return x.probesOfBooks()
		},
		explains: []string{"probes"},
	},
	{
		reason:   "an earlier deployment of the case ended otherwise on purpose, so this one found other files and another revision",
		when:     func(x *comparison) bool { return x.after },
		explains: everything,
	},
}

// inFolder finds the folder of a revision where it is the end of a path.
var inFolder = regexp.MustCompile(`\{\{ROOT\}\}/agent/[^/ ]+/[^/ ]+/deployment-archive([^/])`)

// oddMode finds a mode that is not written as the agent reads it.
var oddMode = regexp.MustCompile(`mode:\s*0[0-9a-zA-Z_]+\s`)

// hostile are the reasons to refuse an archive that the agent unpacks.
var hostile = []string{"MemberPath", "LinkEscapes", "MemberName", "MemberType", "DuplicateMember", "ZipAmbiguous", "ZipUnsupported",
	"SparseNotAllowed", "ArchiveBomb", "ArchiveCorrupt", "ArchiveKind"}

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

func (x *comparison) hasCode(codes ...lifecycle.Code) bool {
	f := x.got.report.Failure
	return f != nil && slices.Contains(codes, f.Code)
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

// sameKind reports whether both found the same fault. Which of several faults the
// agent names is a matter of chance; and how an AppSpec is wrong, of the reader.
func (x *comparison) sameKind() bool {
	if x.want.Error == nil || x.got.Error == nil {
		return false
	}
	w, g := x.want.Error.Kind, x.got.Error.Kind
	return w == g || strings.HasPrefix(w, "appspec_") && strings.HasPrefix(g, "appspec_") ||
		slices.ContainsFunc(x.got.report.Problems, func(p string) bool { return problemKinds[p] == w })
}

// refusals lists, per verdict of the agent, the codes of ours that come to the
// same thing.
var refusals = map[string][]string{
	"fs_error": {"SourceMissing", "SourceNotDirectory", "NotDirectory", "SourceSpecial", "ReadOnly", "NoSpace", "OwnerNotPermitted", "BadPath",
		"DirectoryInTheWay", "SpecialInTheWay", "DestinationEscapes", "SourceEscapes", "LinkEscapes", "LinkLoop", "Protected", "MemberType"},
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
	"NotDirectory": "fs_error", "SourceSpecial": "fs_error", "ReadOnly": "fs_error", "NoSpace": "fs_error", "AppSpecMissing": "appspec_missing", "Syntax": "appspec_yaml",
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
