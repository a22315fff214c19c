package revision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Archive is a zip, tar or gzipped tar file on this machine as a revision, or a file
// with nothing but an AppSpec, in YAML or JSON. What it is is seen from its content,
// not its name. Limits are the defaults and nobody verifies it; for others make an
// [ArchiveFile].
func Archive(path string) Source { return ArchiveFile{Path: path} }

// ArchiveFile is an archive with limits of its own, and with somebody to verify it.
type ArchiveFile struct {
	Path   string
	Limits Limits // zero: the defaults

	// Verifier has to agree before anything is unpacked. Nil: nobody is asked.
	Verifier Verifier
	// Signature is the file with the detached signature, read for the Verifier. Empty:
	// Path with .sig behind it. It need not be there: the Verifier decides.
	Signature string

	recorded bool
}

// Location implements Source.
func (a ArchiveFile) Location() Location {
	return Location{Kind: KindArchive, Path: absolute(a.Path)}
}

// At implements Opener: another archive with the same limits and the same verifier.
// Its signature is beside it.
func (a ArchiveFile) At(l Location) (Source, error) {
	if l.Kind != KindArchive {
		return nil, OtherKind(l, KindArchive)
	}
	return ArchiveFile{Path: l.Path, Limits: a.Limits, Verifier: a.Verifier, recorded: true}, nil
}

// Open implements Source. Files in work are made so that their owner can read
// them; their true modes are in the manifest. Owners that the archive names,
// set-id bits, write permission for everybody and extended attributes are not
// taken over; notes say so. A file with nothing but an AppSpec is a revision of one
// file, appspec.yaml.
//
// If all that the archive holds is one folder, and a name directly in it has
// "appspec" in it, that folder is the root of the revision, as for archives made
// by source hosts.
func (a ArchiveFile) Open(ctx context.Context, work string) (*Bundle, error) {
	path := absolute(a.Path)
	b, err := a.open(ctx, path, work)
	if err != nil {
		return nil, in(ctx, path, err)
	}
	return b, nil
}

func (a ArchiveFile) open(ctx context.Context, path, work string) (*Bundle, error) {
	if a.Verifier != nil {
		return a.verified(ctx, path, work)
	}
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return unpack(ctx, f, size, filepath.Base(path), work, Unpacking{Limits: a.Limits})
}

// besides is the file with the signature of what is at path.
func besides(path, signature string) string {
	if signature == "" {
		return path + ".sig"
	}
	return absolute(signature)
}

// unpack opens an archive that is called name.
func unpack(ctx context.Context, f *os.File, size int64, name, work string, how Unpacking) (*Bundle, error) {
	head := make([]byte, block)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, unreadable("", err)
	}
	kind, refused := detect(head[:n], name)
	if refused != nil {
		if text := document(f, size); text != nil && !how.DropFolder {
			return single(work, specName, text)
		}
		return nil, refused
	}
	work = absolute(work)
	if err := emptyDir(work, openRootFolder); err != nil {
		return nil, err
	}
	u := newUnpacker(work, size, how.Limits.withDefaults())
	u.drop = how.DropFolder
	if claimed := nameFormat(name); claimed != "" && claimed != kind {
		u.note("the file is named as %s and is %s", claimed, kind)
	}
	if err := u.run(ctx, kind, f); err != nil {
		return nil, err
	}
	return u.bundle()
}

// openFile opens a regular file; anything else could make the reader wait for
// ever.
func openFile(path string) (*os.File, int64, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, 0, notThere(path, err)
	}
	if !fi.Mode().IsRegular() {
		what := "directory"
		if !fi.IsDir() {
			what = typeName(fi.Mode())
		}
		return nil, 0, refuse(NotAnArchive, "", "is a %s, not an archive", what)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, notThere(path, err)
	}
	return f, fi.Size(), nil
}

// run unpacks files first, then hard links, then symbolic links: while files are
// written, there is no link to go through.
func (u *unpacker) run(ctx context.Context, kind format, f *os.File) error {
	var err error
	switch kind {
	case formatZip:
		err = u.zip(ctx, f)
	case formatTar:
		err = u.tar(ctx, f)
	default:
		err = u.gzip(ctx, f)
	}
	if err != nil {
		return err
	}
	if err := u.findTop(); err != nil {
		return err
	}
	if err := u.checkLinks(); err != nil {
		return err
	}
	return u.makeLinks(ctx)
}

// damaged tells truncation from other damage.
func damaged(member string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &Error{Code: ArchiveTruncated, Member: member, Err: fmt.Errorf("archive ends in the middle (%w); get it again", err)}
	}
	return &Error{Code: ArchiveCorrupt, Member: member, Err: fmt.Errorf("archive is damaged (%w); get it again", err)}
}
