package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Dir is a directory on this machine as a revision. Nobody verifies it; for that make a
// [Directory].
func Dir(dir string) Source { return Directory{Path: absolute(dir)} }

// Directory is a directory with somebody to verify it. Its files are hashed when it is
// opened, and stay where they are. Links are taken as links, wherever they lead, and
// set-id bits are kept: the directory is the caller's own. Named pipes, sockets and
// devices are refused.
type Directory struct {
	Path string

	// Verifier has to agree before the directory is used. It is asked about the SHA-256
	// that [Manifest.Digest] has behind its colon, which is what has to be signed. Nil:
	// nobody is asked.
	Verifier Verifier
	// Signature is the file with the detached signature, read for the Verifier. Empty:
	// Path with .sig behind it. It need not be there: the Verifier decides.
	Signature string

	recorded bool
}

// absolute makes the path independent of later changes of directory. Where that
// is impossible the path stays, and opening it says why.
func absolute(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}

// Location implements Source.
func (d Directory) Location() Location { return Location{Kind: KindDir, Path: absolute(d.Path)} }

// At implements Opener: another directory, with the same verifier. Its signature is
// beside it.
func (d Directory) At(l Location) (Source, error) {
	if l.Kind != KindDir {
		return nil, OtherKind(l, KindDir)
	}
	return Directory{Path: l.Path, Verifier: d.Verifier, recorded: true}, nil
}

// Open implements Source. It makes no use of work.
func (d Directory) Open(ctx context.Context, _ string) (*Bundle, error) {
	path := absolute(d.Path)
	m, err := scan(ctx, path, openFolder)
	if err == nil && d.Verifier != nil {
		err = d.verify(ctx, path, m)
	}
	if err != nil {
		return nil, in(ctx, path, err)
	}
	return &Bundle{Dir: path, Kind: KindDir, Manifest: m, Notes: dirNotes(m)}, nil
}

// verify asks about the manifest: whatever is copied later is compared with it.
func (d Directory) verify(ctx context.Context, path string, m Manifest) (err error) {
	a := Artifact{Location: d.Location(), Path: path, SHA256: strings.TrimPrefix(m.Digest(), "sha256:"), Size: m.Size(), Recorded: d.recorded}
	if a.Signature, err = readSignature(besides(path, d.Signature)); err != nil {
		return err
	}
	return d.Verifier.Verify(ctx, a)
}

func dirNotes(m Manifest) []string {
	n := 0
	for i := range m.Entries {
		if m.Entries[i].Mode.IsRegular() && m.Entries[i].Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("set-id bits of %d files are kept, as in the directory", n)}
}

// scan makes the manifest of what is in a directory now.
func scan(ctx context.Context, dir string, open func(string) (folder, error)) (Manifest, error) {
	entries, err := walk(ctx, dir, open)
	if err != nil {
		return Manifest{}, err
	}
	slices.SortFunc(entries, byPath)
	start := func() (*hasher, error) { return newHasher(dir, open) }
	err = each(ctx, len(entries), 0, start, (*hasher).stop, func(h *hasher, i int) error { return h.fill(ctx, &entries[i]) })
	return Manifest{Entries: entries}, err
}

// walk lists everything below a directory: paths and types only.
func walk(ctx context.Context, dir string, open func(string) (folder, error)) ([]Entry, error) {
	root, err := open(dir)
	if err != nil {
		return nil, unreadable("", err)
	}
	c := newCursor(root)
	defer c.close()
	var entries []Entry
	todo := []string{"."}
	for len(todo) > 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		f, err := c.at(p)
		if err != nil {
			return nil, unreadable(p, err)
		}
		items, err := f.list()
		if err != nil {
			return nil, unreadable(p, err)
		}
		for _, it := range items {
			e := Entry{Path: it.name, Mode: it.kind}
			if p != "." {
				e.Path = p + "/" + it.name
			}
			if err := supported(e); err != nil {
				return nil, err
			}
			if it.kind.IsDir() {
				todo = append(todo, e.Path)
			}
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// supported refuses what cannot be deployed.
func supported(e Entry) error {
	if len(e.Path) > maxPath {
		return refuse(MemberName, e.Path[:64]+"…", "path of %d bytes is longer than %d; shorten the names", len(e.Path), maxPath)
	}
	switch e.Mode.Type() {
	case 0, fs.ModeDir, fs.ModeSymlink:
		return nil
	}
	return refuse(MemberType, e.Path, "is a %s; a revision holds files, directories and links only, so remove it", typeName(e.Mode))
}

func typeName(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// hasher reads the files of one directory tree.
type hasher struct {
	c   *cursor
	h   hash.Hash
	buf []byte
}

const bufferSize = 128 << 10

func newHasher(dir string, open func(string) (folder, error)) (*hasher, error) {
	root, err := open(dir)
	if err != nil {
		return nil, unreadable("", err)
	}
	return &hasher{c: newCursor(root), h: sha256.New(), buf: make([]byte, bufferSize)}, nil
}

func (h *hasher) stop() { h.c.close() }

// fill completes an entry of which path and type are known.
func (h *hasher) fill(ctx context.Context, e *Entry) error {
	f, name, err := h.c.parent(e.Path)
	if err != nil {
		return unreadable(e.Path, err)
	}
	switch e.Mode.Type() {
	case fs.ModeSymlink:
		e.Mode = fs.ModeSymlink | 0o777
		e.Link, err = f.readlink(name)
	case fs.ModeDir:
		e.Mode, err = f.stat(name)
		e.Mode &= kept
	default:
		err = h.file(ctx, f, name, e)
	}
	if err != nil {
		return unreadable(e.Path, err)
	}
	return supported(*e)
}

func (h *hasher) file(ctx context.Context, f folder, name string, e *Entry) error {
	r, err := f.open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	mode, err := r.mode()
	if err != nil {
		return err
	}
	if e.Mode = mode & kept; !mode.IsRegular() {
		return nil // supported refuses it
	}
	h.h.Reset()
	e.Size, err = stream(ctx, r, h.h, h.buf)
	var sum [sha256.Size]byte
	e.Digest = hex.EncodeToString(h.h.Sum(sum[:0]))
	return err
}

// stream reads to the end, through buf.
func stream(ctx context.Context, r io.Reader, w io.Writer, buf []byte) (n int64, err error) {
	for {
		k, err := r.Read(buf)
		n += int64(k)
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
	}
}

// unreadable gives an error of the file system its code. Errors that have one
// stay as they are.
func unreadable(member string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	code := NotReadable
	if member == "" && errors.Is(err, fs.ErrNotExist) {
		code = NotFound
	}
	if member == "." {
		member = ""
	}
	return &Error{Code: code, Member: member, Err: fmt.Errorf("cannot be read: %w", reason(err))}
}

// reason is an error without the name that the caller says anyway.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// in says which archive or directory an error is about. When ctx was cancelled,
// that is the error: whatever else failed followed from it.
func in(ctx context.Context, where string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var e *Error
	if errors.As(err, &e) && e.Path == "" {
		e.Path = where
	}
	return err
}
