package revision

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind says what a [Location] is.
type Kind string

// The kinds of locations. This package opens the first three itself.
const (
	KindDir     Kind = "directory" // a directory on the controller's machine
	KindArchive Kind = "archive"   // a zip, tar, gzipped tar or AppSpec file on it
	KindInline  Kind = "inline"    // an AppSpec in the location itself: name, content, sha256
	KindS3      Kind = "s3"        // package s3: bucket, key, version, etag, sha256, region and more
	KindGitHub  Kind = "github"    // package github: owner, repository, commit, url
)

// Location says where a revision was taken from. It is pure data, holds no
// secret, and is enough to open the revision again, together with the credentials
// that its kind asks for.
type Location struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path,omitempty"` // absolute path of a directory or an archive

	// Params holds what other kinds need, by the names that Kind lists.
	Params map[string]string `json:"params,omitempty"`
}

// String is the location in one line, for people. The content of an inline AppSpec
// is left out.
func (l Location) String() string {
	p := l.Params
	switch l.Kind {
	case KindInline:
		return "inline:" + p["name"]
	case KindS3:
		s := "s3://" + p["bucket"] + "/" + p["key"]
		if p["version"] != "" {
			s += "?versionId=" + p["version"]
		}
		return s
	case KindGitHub:
		return "github:" + p["owner"] + "/" + p["repository"] + "@" + p["commit"]
	}
	if l.Path != "" || len(p) == 0 {
		return l.Path
	}
	words := make([]string, 0, len(p))
	for k, v := range p {
		words = append(words, k+"="+v)
	}
	slices.Sort(words)
	return string(l.Kind) + ":" + strings.Join(words, ",")
}

// Opener makes sources of recorded locations. A source that holds what a location
// must not hold, such as a client with credentials, or limits, is an Opener for
// locations of its own kind, so that a deployment can be resumed, or can go back to
// what an earlier one deployed.
type Opener interface {
	// At is the source at a recorded location. It does not look whether something is
	// there. For a location of another kind it is an [*Error] with code UnknownKind.
	At(Location) (Source, error)
}

// FromLocation is the source at a recorded location: what the first of the openers
// that knows its kind says, or else this package's own. It does not look whether it
// is still there: Open does.
func FromLocation(l Location, with ...Opener) (Source, error) {
	for _, o := range with {
		src, err := o.At(l)
		if e, ok := errors.AsType[*Error](err); ok && e.Code == UnknownKind {
			continue
		}
		return src, err
	}
	switch l.Kind {
	case KindDir:
		return Directory{}.At(l)
	case KindArchive:
		return ArchiveFile{}.At(l)
	case KindInline:
		return Inline{}.At(l)
	}
	return nil, OtherKind(l, KindDir, KindArchive, KindInline)
}

// OtherKind is what an [Opener] answers for a location that is none of its kinds.
func OtherKind(l Location, kinds ...Kind) error {
	return &Error{Code: UnknownKind, Path: l.String(),
		Err: fmt.Errorf("a location of kind %q is not opened here, only %q; give the deployment a source that knows it", l.Kind, kinds)}
}
