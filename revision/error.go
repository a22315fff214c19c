package revision

import (
	"fmt"
	"strconv"
	"unicode"
)

// Code is the closed set of reasons why a revision cannot be opened or copied.
// Act on the code, not on the text.
type Code string

// The codes.
const (
	NotFound    Code = "NotFound"    // nothing at the location
	NotReadable Code = "NotReadable" // it is there, and cannot be read
	UnknownKind Code = "UnknownKind" // a location that nobody at hand opens

	Denied      Code = "Denied"      // credentials or permissions; the message names action and resource
	Unreachable Code = "Unreachable" // the service does not answer, or not as it should; later it may
	WrongRegion Code = "WrongRegion" // the service has it in another region
	Stalled     Code = "Stalled"     // it came slower than is allowed

	NotSigned         Code = "NotSigned"         // there is nothing to verify
	SignerUnknown     Code = "SignerUnknown"     // signed by nobody who is trusted
	SignatureInvalid  Code = "SignatureInvalid"  // damaged, or not made with the key that it names
	SignatureExpired  Code = "SignatureExpired"  // its time is over
	SignedForOther    Code = "SignedForOther"    // it is for something else of that name
	OlderThanDeployed Code = "OlderThanDeployed" // validly signed, and too long ago

	NotAnArchive     Code = "NotAnArchive"     // empty, a web page, text: no archive at all
	ArchiveKind      Code = "ArchiveKind"      // an archive of a kind that is not supported
	ArchiveTruncated Code = "ArchiveTruncated" // ends too early
	ArchiveCorrupt   Code = "ArchiveCorrupt"   // damaged: checksum, size, trailing data
	ArchiveBomb      Code = "ArchiveBomb"      // unpacks to suspiciously much, or members share data
	TooLarge         Code = "TooLarge"         // exceeds one of the [Limits]
	HeaderTooLarge   Code = "HeaderTooLarge"   // a member's header exceeds its limit
	SparseNotAllowed Code = "SparseNotAllowed" // a sparse tar member
	ZipUnsupported   Code = "ZipUnsupported"   // encrypted, split, unknown compression
	ZipAmbiguous     Code = "ZipAmbiguous"     // two tools would read it differently

	MemberPath      Code = "MemberPath"      // absolute, or climbs out
	MemberName      Code = "MemberName"      // a name that no file should have
	MemberType      Code = "MemberType"      // device, named pipe, socket or unknown
	DuplicateMember Code = "DuplicateMember" // two members want one place
	LinkEscapes     Code = "LinkEscapes"     // a link leads out, or a member goes through a link

	DigestMismatch Code = "DigestMismatch" // content is not what the manifest says
	WriteFailed    Code = "WriteFailed"    // the place to write to refuses
)

// Error is why a revision was refused, or could not be read or copied.
type Error struct {
	Code   Code
	Path   string // the archive or directory
	Member string // slash-separated path inside, raw; empty: the whole
	Err    error  // says what was found and what to do
}

// Error reads as a path: archive, member, reason. Odd names are quoted.
func (e *Error) Error() string {
	s := printable(e.Path)
	if e.Member != "" {
		s += ": " + printable(e.Member)
	}
	return s + ": " + e.Err.Error()
}

// Is reports whether target is an [*Error] with the same code and nothing else, so
// that errors.Is(err, &revision.Error{Code: revision.Denied}) finds one among many.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Path == "" && t.Member == "" && t.Err == nil
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refuse makes an error that does not know its archive yet.
func refuse(code Code, member, format string, args ...any) *Error {
	return &Error{Code: code, Member: member, Err: fmt.Errorf(format, args...)}
}

// printable is the name itself, or quoted where it could fool a terminal or a
// reader.
func printable(s string) string {
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
