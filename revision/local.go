package revision

import (
	"errors"
	"fmt"
	"os"
)

// Local is what is at path: a directory or an archive. Nobody verifies it.
func Local(path string) (Source, error) { return Verified(path, nil) }

// Verified is what is at path, a directory or an archive, which v has to agree to. Its
// signature is beside it, under its name with .sig behind it.
func Verified(path string, v Verifier) (Source, error) {
	path = absolute(path)
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, notThere(path, err)
	case fi.IsDir():
		return Directory{Path: path, Verifier: v}, nil
	case fi.Mode().IsRegular():
		return ArchiveFile{Path: path, Verifier: v}, nil
	}
	return nil, &Error{Code: NotAnArchive, Path: path,
		Err: fmt.Errorf("is a %s; name a directory, or a zip, tar or tar.gz file", typeName(fi.Mode()))}
}

// notThere is the error of a path that the caller has named.
func notThere(path string, err error) error {
	code, advice := NotReadable, "cannot be read: %w"
	if errors.Is(err, os.ErrNotExist) {
		code, advice = NotFound, "not found: %w; check the path"
	}
	return &Error{Code: code, Path: path, Err: fmt.Errorf(advice, reason(err))}
}
