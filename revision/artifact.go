package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Artifact is an archive that a source has brought to this machine. Sources of other
// packages end with [Artifact.Open]; those of this package do, too. A directory that is to
// be verified is one as well: its SHA-256 is that of its manifest, and its size that of
// its files.
type Artifact struct {
	Location  Location // where exactly it came from
	Path      string   // the archive, in a place that nobody else writes to; a directory: the caller's own
	SHA256    string   // of the archive, hex
	Size      int64    // of the archive, in bytes
	Signature []byte   // as found beside it; nil: none found

	// Recorded says that an earlier deployment recorded the location: it is opened to
	// resume that or to go back to it.
	Recorded bool
}

// Verifier decides whether an archive may be used, or a directory, or an AppSpec alone.
// It is asked before anything of an archive is unpacked or even recognised.
type Verifier interface {
	// Verify returns nil if the artifact may be used, else an [*Error] that says which
	// check failed. Nothing to verify is a failure. It may be called by several
	// goroutines.
	Verify(context.Context, Artifact) error
}

// Unpacking says how an archive is opened.
type Unpacking struct {
	Verifier Verifier // has to agree; nil: nobody is asked
	Limits   Limits   // zero: the defaults

	// DropFolder drops the one folder that the archive has to consist of, whatever is
	// in it. False: it is dropped by the rule of CodeDeploy.
	DropFolder bool
}

// Open asks the verifier and unpacks into work, an empty private directory that has to
// outlive the bundle. The archive itself is not needed afterwards.
func (a Artifact) Open(ctx context.Context, work string, u Unpacking) (*Bundle, error) {
	b, err := a.open(ctx, work, u)
	if err != nil {
		return nil, in(ctx, a.Location.String(), err)
	}
	b.Location = a.Location
	return b, nil
}

func (a Artifact) open(ctx context.Context, work string, u Unpacking) (*Bundle, error) {
	if u.Verifier != nil {
		if err := u.Verifier.Verify(ctx, a); err != nil {
			return nil, err
		}
	}
	f, size, err := openFile(a.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return unpack(ctx, f, size, a.name(), work, u)
}

// name is what the archive is called where it comes from.
func (a Artifact) name() string {
	if key := a.Location.Params["key"]; key != "" {
		return filepath.Base(key)
	}
	return filepath.Base(a.Location.Path)
}

// Signature files are small; what is larger is something else.
const maxSignature = 64 << 10

// verified brings an archive of this machine into work first, so that what is
// verified is what is unpacked, whoever writes to the file meanwhile.
func (a ArchiveFile) verified(ctx context.Context, path, work string) (*Bundle, error) {
	work = absolute(work)
	if err := emptyDir(work, openRootFolder); err != nil {
		return nil, err
	}
	art := Artifact{Location: a.Location(), Path: filepath.Join(work, "archive"), Recorded: a.recorded}
	var err error
	if art.SHA256, art.Size, err = copyFile(ctx, path, art.Path); err != nil {
		return nil, err
	}
	defer os.Remove(art.Path) // what stays goes with work
	if art.Signature, err = readSignature(besides(path, a.Signature)); err != nil {
		return nil, err
	}
	return art.open(ctx, filepath.Join(work, "content"), Unpacking{Verifier: a.Verifier, Limits: a.Limits})
}

func readSignature(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // for the verifier to judge
	}
	if err != nil {
		return nil, notThere(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSignature+1))
	switch {
	case err != nil:
		return nil, unreadable("", err)
	case len(b) > maxSignature:
		return nil, &Error{Code: SignatureInvalid, Path: path, Err: errors.New("is too large for a signature")}
	}
	return b, nil
}

// copyFile copies a regular file, and tells its SHA-256 and size.
func copyFile(ctx context.Context, from, to string) (sum string, size int64, err error) {
	r, _, err := openFile(from)
	if err != nil {
		return "", 0, err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", 0, unwritable("", err)
	}
	h := sha256.New()
	size, err = stream(ctx, r, &both{h, w, ""}, make([]byte, bufferSize))
	if err2 := w.Close(); err == nil && err2 != nil {
		err = unwritable("", err2)
	}
	if err != nil {
		return "", 0, unreadable("", err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}
