// Package appspec reads the AppSpec, the file in a revision that says which
// files go where and which scripts run when.
//
// [Find] finds the file in a revision, [Parse] reads and checks its text, for
// servers, ECS and Lambda, in YAML and JSON, and [Spec.CheckBundle] checks the
// result against the revision's files, before any host is touched:
//
//	name, notes, err := appspec.Find(fsys, "")
//	data, err := fs.ReadFile(fsys, name)
//	spec, warnings, err := appspec.Parse(name, data, appspec.Options{OS: "linux"})
//	findings := spec.CheckBundle(name, fsys, appspec.Options{})
//
// # Errors and warnings
//
// Everything that is wrong is reported in one pass, in the order of the file:
// each [Problem] has a [Code] from a closed set, a place, what was found, what is
// allowed, and the nearest known name. The line between the two severities is
// drawn by the official CodeDeploy agent. What it refuses is an [Error]. What it
// ignores or reads otherwise than it is written is a [Warning], and an error
// under [Options.Strict]. The few places where we differ, with the reason for
// each, are listed at [Code].
//
// The error that Parse returns is a *multierror.Error of *Problem; errors.Is
// matches it with a code, [Problems] takes the problems out of it. A problem prints
// in one line; [Problem.Excerpt] shows the line it is about.
//
// # Reading
//
// Scalars keep their source text until a field needs them, and are then read the
// way the agent's YAML 1.1 reader does: 010 seconds are 8, "10s" is 10. A mode is
// the exception: 0644 means octal 644 with or without quotes, as its author
// meant it, where CodeDeploy reads it as 420.
//
// The text is untrusted: its size, depth, entries and aliases are limited, a
// path that climbs out of the revision is refused, and nothing in it runs.
//
// # Platforms
//
// One [Spec] holds the AppSpec of any platform. The content decides which it is:
// a resource of ECS or Lambda, else it is for servers; [Detect] tells it even of
// broken text. [Options.Platform] refuses the others. For ECS and Lambda, keys are
// taken in any letter case, with a warning, since CodeDeploy's documents disagree
// about it; versions, ports and names are read from the text as it is written; and
// a template's variable that is not filled in is a warning, also in a number's
// place.
//
// # Writing
//
// [Print] writes a Spec in canonical form, in either notation, and [Convert] turns
// one notation into the other. [Reformat] only lays the text out, and keeps comments.
// [Placeholders] finds a template's variables, and [Render] fills them in, in values
// only. [Native] converts an ECS deployment into one that ECS carries out without
// CodeDeploy, and says what does not carry over. [Schema] is for editors.
package appspec
