package revision

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// Revision is the identity of what is deployed, as records keep it.
type Revision struct {
	Location Location `json:"location"`
	Digest   string   `json:"digest"` // of the manifest: "sha256:…"; empty: not known yet
}

// String is the location with a short digest.
func (r Revision) String() string {
	if len(r.Digest) >= 19 {
		return r.Location.String() + "@" + r.Digest[7:19]
	}
	return r.Location.String()
}

// Source is a revision that can be opened.
type Source interface {
	// Location says where it comes from, for the records.
	Location() Location

	// Open makes the content available as plain files. Archives are unpacked
	// into work, an empty private directory of the caller's, which must outlive
	// the bundle; a source that already is a directory leaves it alone. Hostile
	// or damaged content is refused with a [*Error] and leaves nothing behind
	// outside work.
	Open(ctx context.Context, work string) (*Bundle, error)
}

// Bundle is an opened revision: files in a directory, and the manifest of what
// they were when they were read. The directory is not trusted to stay the same:
// whoever copies from it compares with the manifest.
type Bundle struct {
	Dir      string // absolute path of the revision's root
	Kind     Kind   // KindArchive: it was unpacked; modes and times are the manifest's, not those in Dir
	Manifest Manifest
	Notes    []string // what was found and tolerated (set-id bits stripped, a leading directory removed)

	// Location is where exactly the content came from, where the source's own location
	// left that open (the newest version of an object). Empty: that of the source.
	Location Location

	// Content, if not nil, supplies the content of a regular file instead of Dir. Copy
	// calls it from several goroutines and compares what it reads with the manifest.
	Content func(e Entry) (io.ReadCloser, error) `json:"-"`

	// Presign, if not nil, makes an address at which a machine without credentials can
	// get the archive itself for a while. A source that can do so sets it.
	Presign func(ctx context.Context) (Download, error) `json:"-"`
}

// Revision is the identity of the opened bundle of a source, for the records.
func (b *Bundle) Revision(from Source) Revision {
	l := b.Location
	if l.Kind == "" {
		l = from.Location()
	}
	return Revision{Location: l, Digest: b.Manifest.Digest()}
}

// Download says where the archive of a revision can be fetched by whoever has the
// address. The address may be as good as a password: it is never recorded.
type Download struct {
	URL    string `json:"url"`    // http or https
	SHA256 string `json:"sha256"` // of the archive, hex. Required
	Size   int64  `json:"size"`   // of the archive, in bytes. Required

	Limits Limits `json:"limits,omitzero"` // of what is unpacked, as the source has them; zero: the defaults
}

// Manifest lists everything in a revision, sorted by path in byte order. Its
// digest names the revision.
type Manifest struct {
	Entries []Entry `json:"entries"`
}

// Entry is one file, directory or link of a revision.
type Entry struct {
	Path    string      `json:"path"`             // slash-separated, relative, clean; never "."
	Mode    fs.FileMode `json:"mode"`             // type and permission bits (and set-id bits where kept)
	Size    int64       `json:"size,omitempty"`   // of a regular file
	Digest  string      `json:"digest,omitempty"` // hex SHA-256 of a regular file
	Link    string      `json:"link,omitempty"`   // text of a symbolic link
	ModTime time.Time   `json:"modTime,omitzero"` // where an archive says so; not part of the digest
}
