package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// unpacker keeps account of one archive while it is unpacked. Only the goroutine
// that reads the archive adds members; several write files.
type unpacker struct {
	work   string
	packed int64 // size of the archive
	lim    Limits

	members map[string]*member // by key
	folded  map[string]string  // lower-case path → path
	hard    []hardLink
	top     string // folder that is the root; "": the archive's root
	drop    bool   // the root has to be a folder

	total    atomic.Int64
	notes    []string
	tolerate [tolerances]int

	dirs *cursor // of the reading goroutine
}

type member struct {
	Entry
	implied bool // a folder that no member stands for, so far
}

type hardLink struct{ from, to *member }

// What is tolerated, and counted for one note each.
const (
	setIDs = iota
	worldWritable
	foreignOwners
	extended
	repeatedDirs
	caseOnly
	tolerances
)

var toleranceNotes = [tolerances]string{
	setIDs:        "set-id bits of %d members are dropped; give modes in the AppSpec",
	worldWritable: "write permission for everybody is dropped from %d members",
	foreignOwners: "owners that the archive names for %d members are not taken over",
	extended:      "extended attributes of %d members are dropped",
	repeatedDirs:  "%d folders are in the archive more than once",
	caseOnly:      "%d names differ from others only in case; other systems could not hold them",
}

func newUnpacker(work string, packed int64, lim Limits) *unpacker {
	return &unpacker{work: work, packed: packed, lim: lim, members: map[string]*member{}, folded: map[string]string{}}
}

func (u *unpacker) note(format string, args ...any) {
	u.notes = append(u.notes, fmt.Sprintf(format, args...))
}

// account adds to what has been unpacked, and refuses what is too much.
func (u *unpacker) account(name string, n int64) error {
	total := u.total.Add(n)
	if n < 0 || total < 0 || total > u.lim.Bytes {
		return refuse(TooLarge, name, "archive unpacks to more than %d bytes, the limit", u.lim.Bytes)
	}
	return u.bomb(name, total, u.packed)
}

func (u *unpacker) bomb(name string, unpacked, packed int64) error {
	if unpacked > u.lim.RatioFrom && unpacked/u.lim.Ratio >= max(packed, 1) {
		return refuse(ArchiveBomb, name, "unpacks to more than %d times its size (%d bytes from %d); raise the limit if this is meant",
			u.lim.Ratio, unpacked, packed)
	}
	return nil
}

// add takes a member in, under its raw name. It returns nil for one that needs
// nothing more: the root, which can only be a folder.
func (u *unpacker) add(name string, mode fs.FileMode, t time.Time) (*member, error) {
	p, refused := memberPath(name)
	if refused != nil {
		return nil, refused
	}
	if p == "." {
		if !mode.IsDir() {
			return nil, refuse(MemberName, name, "is the root of the archive and not a folder")
		}
		return nil, nil
	}
	if err := u.parents(p); err != nil {
		return nil, err
	}
	e := Entry{Path: p, Mode: u.trusted(mode), ModTime: clampTime(t)}
	old := u.members[key(p)]
	if old == nil {
		return u.put(&member{Entry: e})
	}
	if old.Path != p || !old.Mode.IsDir() || !mode.IsDir() {
		return nil, refuse(DuplicateMember, name, "is in the archive twice, the first time as %s %q; pack it again with each file once", kindName(old.Mode), old.Path)
	}
	if !old.implied {
		u.tolerate[repeatedDirs]++
	}
	old.Entry, old.implied = e, false
	return old, nil
}

// trusted is what is taken over of a mode that an archive gives.
func (u *unpacker) trusted(m fs.FileMode) fs.FileMode {
	if m.Type() == fs.ModeSymlink {
		return fs.ModeSymlink | 0o777
	}
	if m&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		u.tolerate[setIDs]++
	}
	if m&0o002 != 0 {
		u.tolerate[worldWritable]++
	}
	return m & (fs.ModeType | 0o775)
}

func kindName(m fs.FileMode) string {
	switch m.Type() {
	case fs.ModeDir:
		return "folder"
	case fs.ModeSymlink:
		return "link"
	}
	return "file"
}

// parents makes sure that all folders above p are there and are folders.
func (u *unpacker) parents(p string) error {
	dir := path.Dir(p)
	if dir == "." {
		return nil
	}
	switch m := u.members[key(dir)]; {
	case m == nil:
		if err := u.parents(dir); err != nil {
			return err
		}
		_, err := u.put(&member{Entry: Entry{Path: dir, Mode: fs.ModeDir | 0o755}, implied: true})
		return err
	case m.Mode.Type() == fs.ModeSymlink:
		return refuse(LinkEscapes, p, "would be written through the link %q; pack the real folder", m.Path)
	case !m.Mode.IsDir() || m.Path != dir:
		return refuse(DuplicateMember, p, "is below %q, which is a %s of the archive", m.Path, kindName(m.Mode))
	}
	return nil
}

// put registers a new member; folders are made at once.
func (u *unpacker) put(m *member) (*member, error) {
	if len(u.members) >= u.lim.Members {
		return nil, refuse(TooLarge, m.Path, "archive has more than %d members, the limit", u.lim.Members)
	}
	low := strings.ToLower(m.Path)
	if _, ok := u.folded[low]; ok {
		u.tolerate[caseOnly]++
	}
	u.folded[low] = m.Path
	u.members[key(m.Path)] = m
	if !m.Mode.IsDir() {
		return m, nil
	}
	f, name, err := u.dirs.parent(m.Path)
	if err == nil {
		err = f.mkdir(name, 0o700)
	}
	if err != nil {
		return nil, unwritable(m.Path, err)
	}
	return m, nil
}

// addHard takes in a hard link. It becomes a file of its own with the content
// and mode of the earlier member that it names.
func (u *unpacker) addHard(name, target string, t time.Time) error {
	p, refused := memberPath(target)
	if refused != nil {
		return refuse(LinkEscapes, name, "hard link to %q: %w", target, refused.Err)
	}
	to := u.members[key(p)]
	if to == nil || !to.Mode.IsRegular() {
		return refuse(LinkEscapes, name, "hard link to %q, which is not an earlier file of the archive; pack it again", target)
	}
	if err := u.account(name, to.Size); err != nil {
		return err
	}
	from, err := u.add(name, to.Mode, t)
	if err != nil {
		return err
	}
	if from == nil {
		return refuse(MemberName, name, "is the root of the archive")
	}
	from.Size = to.Size
	u.hard = append(u.hard, hardLink{from, to})
	return nil
}

// write writes the content of a file, and adds its digest to the entry. The size
// is there already: readers of the formats guarantee it, and the goroutine that
// adds members may be looking at it.
func (u *unpacker) write(ctx context.Context, c *cursor, m *member, r io.Reader, buf []byte) error {
	f, name, err := c.parent(m.Path)
	if err != nil {
		return unwritable(m.Path, err)
	}
	w, err := f.create(name, m.Mode.Perm()|0o600)
	if err != nil {
		return unwritable(m.Path, err)
	}
	h := sha256.New()
	_, err = stream(ctx, r, &both{h, w, m.Path}, buf)
	if err2 := w.Close(); err == nil && err2 != nil {
		err = unwritable(m.Path, err2)
	}
	if err != nil {
		return damaged(m.Path, err)
	}
	m.Digest = hex.EncodeToString(h.Sum(nil))
	return nil
}

// both writes to a hash and a file, and marks the file's errors as such.
type both struct {
	h    io.Writer
	w    io.Writer
	name string
}

func (b *both) Write(p []byte) (int, error) {
	b.h.Write(p)
	n, err := b.w.Write(p)
	if err != nil {
		return n, unwritable(b.name, err)
	}
	return n, nil
}

// findTop decides whether a leading folder is dropped. Its rule is CodeDeploy's,
// unless that was decided before.
func (u *unpacker) findTop() error {
	top := u.onlyFolder()
	if u.drop && top == "" {
		return refuse(ArchiveKind, "", "does not consist of one folder, as an archive of a source host does")
	}
	if top == "" || !u.drop && !u.holdsSpec(top) {
		return nil
	}
	u.top = top
	u.note("the leading folder %q is dropped", top)
	return nil
}

// onlyFolder is the folder that everything is in; empty: there is none.
func (u *unpacker) onlyFolder() (top string) {
	for _, m := range u.members {
		first, _, below := strings.Cut(m.Path, "/")
		if top != "" && first != top || !below && !m.Mode.IsDir() {
			return ""
		}
		top = first
	}
	return top
}

func (u *unpacker) holdsSpec(dir string) bool {
	for _, m := range u.members {
		if path.Dir(m.Path) == dir && strings.Contains(strings.ToLower(path.Base(m.Path)), "appspec") {
			return true
		}
	}
	return false
}

// makeLinks makes what must not be there while files are written.
func (u *unpacker) makeLinks(ctx context.Context) error {
	root, err := openRootFolder(u.work)
	if err != nil {
		return unwritable("", err)
	}
	c := newCursor(root)
	defer c.close()
	buf := make([]byte, bufferSize)
	for _, l := range u.hard {
		if err := u.copyHard(ctx, c, l, buf); err != nil {
			return err
		}
	}
	for _, m := range u.members {
		if m.Mode.Type() != fs.ModeSymlink {
			continue
		}
		f, name, err := c.parent(m.Path)
		if err == nil {
			err = f.symlink(m.Link, name)
		}
		if err != nil {
			return unwritable(m.Path, err)
		}
	}
	return nil
}

func (u *unpacker) copyHard(ctx context.Context, c *cursor, l hardLink, buf []byte) error {
	f, name, err := c.parent(l.to.Path)
	if err != nil {
		return unwritable(l.to.Path, err)
	}
	r, err := f.open(name)
	if err != nil {
		return unwritable(l.to.Path, err)
	}
	defer r.Close()
	return u.write(ctx, c, l.from, r, buf)
}

// bundle is the result.
func (u *unpacker) bundle() (*Bundle, error) {
	entries := make([]Entry, 0, len(u.members))
	for _, m := range u.members {
		if u.top != "" {
			if m.Path == u.top {
				continue
			}
			m.Path = m.Path[len(u.top)+1:]
		}
		entries = append(entries, m.Entry)
	}
	slices.SortFunc(entries, byPath)
	for i, n := range u.tolerate {
		if n > 0 {
			u.note(toleranceNotes[i], n)
		}
	}
	return &Bundle{Dir: filepath.Join(u.work, u.top), Kind: KindArchive, Manifest: Manifest{Entries: entries}, Notes: u.notes}, nil
}

// clampTime drops times that file systems or records cannot hold.
func clampTime(t time.Time) time.Time {
	if y := t.Year(); t.Unix() < 0 || y > 2200 {
		return time.Time{}
	}
	return t.UTC()
}
