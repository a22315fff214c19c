package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// The sample revisions of the demonstration. They are ordinary directories, so
// -revision examples/onprem/revisions/2 deploys one as well.
//
//go:embed all:revisions
var samples embed.FS

// sampleCount is how many there are. The last one is broken on purpose.
const sampleCount = 3

// writeSamples puts the revisions into dir, one directory each. One that is there
// already is left alone: a deployment may be in the middle of it.
func writeSamples(dir string) error {
	for n := 1; n <= sampleCount; n++ {
		if err := writeSample(dir, n); err != nil {
			return fmt.Errorf("writing sample revision %d: %w", n, err)
		}
	}
	return nil
}

func samplePath(dir string, n int) string { return filepath.Join(dir, strconv.Itoa(n)) }

// writeSample writes beside the final name and renames, so that what has the name
// is whole even after a crash.
func writeSample(dir string, n int) error {
	final := samplePath(dir, n)
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := copySample(tmp, path.Join("revisions", strconv.Itoa(n))); err != nil {
		return err
	}
	if err := os.Rename(tmp, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// copySample copies one embedded tree. Embedded files have lost their modes, so
// programs are told by their directory.
func copySample(dst, src string) error {
	return fs.WalkDir(samples, src, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dst, filepath.FromSlash(name[len(src):]))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := samples.ReadFile(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if in := path.Base(path.Dir(name)); in == "bin" || in == "scripts" {
			mode = 0o755
		}
		if err := os.WriteFile(to, text, mode); err != nil {
			return err
		}
		return os.Chmod(to, mode) // whatever the umask is
	})
}
