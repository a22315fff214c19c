package revision

import (
	"errors"
	"fmt"
	"os"
)

// Local is what is at path: a directory or an archive.
func Local(path string) (Source, error) {
	path = absolute(path)
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, notThere(path, err)
	case fi.IsDir():
		return Dir(path), nil
	case fi.Mode().IsRegular():
		return Archive(path), nil
	}
	return nil, &Error{Code: NotAnArchive, Path: path,
		Err: fmt.Errorf("is a %s; name a directory, or a zip, tar or tar.gz file", typeName(fi.Mode()))}
}

// FromLocation is the source at a recorded location. It does not look whether it
// is still there: Open does.
func FromLocation(l Location) (Source, error) {
	switch l.Kind {
	case KindDir:
		return Dir(l.Path), nil
	case KindArchive:
		return Archive(l.Path), nil
	}
	return nil, &Error{Code: UnknownKind, Path: l.String(),
		Err: fmt.Errorf("location of kind %q is not opened by this package; it knows %q and %q", l.Kind, KindDir, KindArchive)}
}

// notThere is the error of a path that the caller has named.
func notThere(path string, err error) error {
	code, advice := NotReadable, "cannot be read: %w"
	if errors.Is(err, os.ErrNotExist) {
		code, advice = NotFound, "not found: %w; check the path"
	}
	return &Error{Code: code, Path: path, Err: fmt.Errorf(advice, reason(err))}
}
