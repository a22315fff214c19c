package journal

import (
	"os"
	"path/filepath"
	"testing"
)

// SetSync replaces the sync of files, so that tests can let it fail.
func (j *File) SetSync(sync func(*os.File) error) { j.sync = sync }

// WriteHeader writes a file with a first line of some version and one more that
// fits it.
func WriteHeader(t *testing.T, path string, version int, group, id string) {
	t.Helper()
	var e encoder
	if err := e.line(header{version, group, id}, markMore); err != nil {
		t.Fatal(err)
	}
	if err := e.line("something new", markEnd); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, e.buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
