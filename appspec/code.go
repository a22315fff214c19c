package appspec

// Code names a kind of problem. Act on the code, not on the message. It is an
// error, so that errors.Is(err, ErrVersion) asks whether one of that kind is
// among the problems.
//
// A code is mostly an error where the official agent refuses, and a warning where
// it ignores or misreads. These are errors although the agent's parser accepts
// the text:
//
//   - [ErrDuplicateKey], [ErrMultipleDocuments]: a part of the file would silently
//     not count.
//   - [ErrPathEscapes]: a path that leaves the revision reads or runs files of
//     the host that nobody reviewed.
//   - [ErrBadPath] for NUL, which no path can hold; [ErrType] for a number, list
//     or mapping as a path; [ErrUnknownOwner] for an empty or impossible name:
//     the agent accepts them and fails later, when files were already replaced.
//   - [ErrRunAs] for a name that no account can have: the agent gives it to a shell.
//   - [ErrTagNotAllowed], [ErrTooDeep], [ErrTooLarge], [ErrAliasLimit]: limits for
//     untrusted text.
//   - [ErrTimeout] for a number of seconds that no timer can hold.
//
// For ECS and Lambda no agent decides. An error there is what CodeDeploy refuses
// or what cannot mean what it says; an unknown key is a warning.
//
// The other way round, aliases within limits and a byte order mark are accepted,
// where the agent's reader stumbles over them.
type Code string

// Error makes a code usable as the target of errors.Is.
func (c Code) Error() string { return "appspec: " + string(c) }

// Problems of the text as a whole.
const (
	ErrEmpty             Code = "AppSpecEmpty"
	ErrNotMapping        Code = "AppSpecNotMapping"
	ErrEncoding          Code = "Encoding"
	ErrBOM               Code = "ByteOrderMark"
	ErrSyntax            Code = "Syntax"
	ErrComment           Code = "Comment" // could not be kept
	ErrDuplicateKey      Code = "DuplicateKey"
	ErrMultipleDocuments Code = "MultipleDocuments"
	ErrAliasLimit        Code = "AliasLimit"
	ErrAlias             Code = "Alias" // fine here, refused by newer CodeDeploy agents
	ErrTooDeep           Code = "TooDeep"
	ErrTooLarge          Code = "TooLarge"
	ErrTagNotAllowed     Code = "TagNotAllowed"
	ErrDate              Code = "Date"         // an unquoted date
	ErrPlatform          Code = "NotAnAppSpec" // another product's file
	ErrPlatformMismatch  Code = "PlatformMismatch"
	ErrMixedPlatforms    Code = "MixedPlatforms"
	ErrMore              Code = "MoreProblems"
)

// Problems of fields in general.
const (
	ErrUnknownField Code = "UnknownField"
	ErrMissingField Code = "MissingField"
	ErrKeyCase      Code = "KeyCase" // a known key in other letters
	ErrIndentation  Code = "Indentation"
	ErrType         Code = "Type" // such as a list where text is needed
	ErrEnum         Code = "Enum" // not one of the allowed words
	ErrBadPath      Code = "BadPath"
	ErrBadName      Code = "BadName"
	ErrPathEscapes  Code = "PathEscapes"
	ErrPlaceholder  Code = "Placeholder" // a template's variable was left in
)

// Problems of particular fields.
const (
	ErrVersion              Code = "Version"
	ErrOS                   Code = "OS"
	ErrOSMismatch           Code = "OSMismatch"
	ErrNotSupportedOnOS     Code = "NotSupportedOnOS"
	ErrProtectedDestination Code = "ProtectedDestination"
	ErrDuplicateDestination Code = "DuplicateDestination"
	ErrUnknownEvent         Code = "UnknownEvent"
	ErrEventNotScriptable   Code = "EventNotScriptable"
	ErrTimeout              Code = "Timeout"
	ErrEventTimeoutSum      Code = "EventTimeoutSum"
	ErrRunAs                Code = "RunAs"
	ErrRunAsDenied          Code = "RunAsDenied"
	ErrSudo                 Code = "Sudo"
	ErrObjectNotManaged     Code = "ObjectNotManaged"
	ErrMode                 Code = "Mode"
	ErrSetuid               Code = "Setuid"
	ErrPattern              Code = "Pattern"
	ErrDuplicatePermission  Code = "DuplicatePermission"
	ErrUnknownOwner         Code = "UnknownOwner"
	ErrACL                  Code = "Acl"
	ErrACLDefaultOnFile     Code = "AclDefaultOnFile"
	ErrContext              Code = "Context"
)

// Problems of AppSpecs for ECS and Lambda.
const (
	ErrResources        Code = "Resources" // not exactly one
	ErrTaskDefinition   Code = "TaskDefinition"
	ErrPort             Code = "Port"
	ErrNetwork          Code = "Network"
	ErrCapacityProvider Code = "CapacityProvider"
	ErrLambdaVersion    Code = "LambdaVersion"
	ErrNothingToDeploy  Code = "NothingToDeploy"
	ErrHookFunction     Code = "HookFunction"
	ErrNotCarriedOver   Code = "NotCarriedOver" // has no equal in ECS-native deployments
)

// Problems of the revision's files.
const (
	ErrAppSpecMissing   Code = "AppSpecMissing"
	ErrAppSpecAmbiguous Code = "AmbiguousAppSpec"
	ErrSourceMissing    Code = "SourceMissing"
	ErrScriptMissing    Code = "ScriptMissing"
	ErrScriptType       Code = "ScriptType" // a directory, pipe, device or link out of the revision
	ErrScriptEmpty      Code = "ScriptEmpty"
	ErrScriptCRLF       Code = "ScriptCRLF"
	ErrScriptNoShebang  Code = "ScriptNoShebang"
	ErrScriptLineEnds   Code = "ScriptLineEnds"
	ErrScriptUnreadable Code = "ScriptUnreadable"
)
