package revision

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// kept are the bits of a mode that are part of a revision.
const kept = fs.ModeType | fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// Digest names the revision: "sha256:" and 64 hex digits over path, type,
// permission bits, size, content and link text of every entry, in byte order of
// the paths whatever their order here. Times and owners do not count.
func (m Manifest) Digest() string {
	entries := m.Entries
	if !slices.IsSortedFunc(entries, byPath) {
		entries = slices.Clone(entries)
		slices.SortFunc(entries, byPath)
	}
	h := sha256.New()
	b := []byte("cutover manifest 1\n")
	for i := range entries {
		if len(b) > 1<<15 {
			h.Write(b)
			b = b[:0]
		}
		b = appendCanonical(b, &entries[i])
	}
	h.Write(b)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Find returns the entry of a path, or nil. The manifest must be sorted, as
// those of opened bundles are.
func (m Manifest) Find(path string) *Entry {
	i, ok := slices.BinarySearchFunc(m.Entries, path, func(e Entry, p string) int { return strings.Compare(e.Path, p) })
	if !ok {
		return nil
	}
	return &m.Entries[i]
}

// Size is the sum of the sizes of all regular files.
func (m Manifest) Size() (n int64) {
	for i := range m.Entries {
		n += m.Entries[i].Size
	}
	return n
}

func byPath(a, b Entry) int { return cmp.Compare(a.Path, b.Path) }

// appendCanonical encodes one entry. Every text has its length before it, so no
// two different entries, or lists of entries, have the same encoding.
func appendCanonical(b []byte, e *Entry) []byte {
	b = appendText(b, e.Path)
	b = binary.BigEndian.AppendUint32(b, canonicalMode(e.Mode))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Size))
	b = appendText(b, e.Digest)
	return appendText(b, e.Link)
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// canonicalMode is the mode as Unix writes it, so that the digest does not hang
// on how Go numbers its bits.
func canonicalMode(m fs.FileMode) uint32 {
	u := uint32(m.Perm())
	for _, x := range [...]struct {
		bit  fs.FileMode
		unix uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&x.bit != 0 {
			u |= x.unix
		}
	}
	switch m.Type() {
	case fs.ModeDir:
		return u | 0o040000
	case fs.ModeSymlink:
		return u | 0o120000
	case 0:
		return u | 0o100000
	}
	return u
}

// entryJSON is an entry in records. JSON cannot hold text that is not UTF-8, and
// file names may be any bytes: such a text goes as base64 under another key.
type entryJSON struct {
	Path    string      `json:"path,omitempty"`
	Path64  string      `json:"pathBase64,omitempty"`
	Mode    fs.FileMode `json:"mode"`
	Size    int64       `json:"size,omitempty"`
	Digest  string      `json:"digest,omitempty"`
	Link    string      `json:"link,omitempty"`
	Link64  string      `json:"linkBase64,omitempty"`
	ModTime time.Time   `json:"modTime,omitzero"`
}

// MarshalJSON keeps names and link texts that are not UTF-8, as pathBase64 and
// linkBase64.
func (e Entry) MarshalJSON() ([]byte, error) {
	j := entryJSON{Mode: e.Mode, Size: e.Size, Digest: e.Digest, ModTime: e.ModTime}
	j.Path, j.Path64 = splitText(e.Path)
	j.Link, j.Link64 = splitText(e.Link)
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (e *Entry) UnmarshalJSON(b []byte) error {
	var j entryJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	path, err := joinText(j.Path, j.Path64)
	if err != nil {
		return err
	}
	link, err := joinText(j.Link, j.Link64)
	if err != nil {
		return err
	}
	*e = Entry{Path: path, Mode: j.Mode, Size: j.Size, Digest: j.Digest, Link: link, ModTime: j.ModTime}
	return nil
}

func splitText(s string) (plain, base string) {
	if utf8.ValidString(s) {
		return s, ""
	}
	return "", base64.StdEncoding.EncodeToString([]byte(s))
}

func joinText(plain, base string) (string, error) {
	if base == "" {
		return plain, nil
	}
	b, err := base64.StdEncoding.DecodeString(base)
	return string(b), err
}
