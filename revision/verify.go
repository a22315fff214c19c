package revision

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
)

// Verify reads the regular files and links that the manifest lists below dir
// and compares them. The first difference is an error with code DigestMismatch.
// Modes, times and files that are not listed are not looked at.
func (m Manifest) Verify(ctx context.Context, dir string) error {
	start := func() (*copier, error) {
		src, err := openFolder(dir)
		if err != nil {
			return nil, unreadable("", err)
		}
		return &copier{src: newCursor(src), buf: make([]byte, bufferSize)}, nil
	}
	err := each(ctx, len(m.Entries), 0, start, (*copier).stop, func(c *copier, i int) error { return c.verify(ctx, &m.Entries[i]) })
	if err != nil {
		return in(ctx, dir, err)
	}
	return nil
}

// verify reads one entry and writes nothing.
func (c *copier) verify(ctx context.Context, e *Entry) error {
	switch {
	case e.Mode.IsDir():
		if _, err := c.src.at(e.Path); err != nil {
			return missing(e, err)
		}
		return nil
	case e.Mode.Type() == fs.ModeSymlink:
		f, name, err := c.src.parent(e.Path)
		if err != nil {
			return missing(e, err)
		}
		if text, err := f.readlink(name); err != nil {
			return missing(e, err)
		} else if text != e.Link {
			return changed(e)
		}
		return nil
	}
	r, err := c.source(e)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := stream(ctx, r, h, c.buf)
	if err != nil {
		return unreadable(e.Path, err)
	}
	if !c.same(e, n, h.Sum(nil)) {
		return changed(e)
	}
	return nil
}

var errChanged = errors.New("is not what it was when the revision was opened; open the revision again")

func changed(e *Entry) error {
	return &Error{Code: DigestMismatch, Member: e.Path, Err: errChanged}
}

// missing is a listed entry that cannot be opened as what it was.
func missing(e *Entry, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return unreadable(e.Path, err)
	}
	return &Error{Code: DigestMismatch, Member: e.Path, Err: fmt.Errorf("%w (%w)", errChanged, reason(err))}
}
