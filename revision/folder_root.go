package revision

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// rootFolder is a folder by means of os.Root. It works everywhere.
type rootFolder struct{ r *os.Root }

func openRootFolder(dir string) (folder, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return rootFolder{r}, nil
}

func (d rootFolder) list() ([]item, error) {
	f, err := d.r.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := f.ReadDir(-1)
	items := make([]item, 0, len(found))
	for _, e := range found {
		items = append(items, item{e.Name(), e.Type()})
	}
	return items, err
}

// sub refuses links: os.Root would follow those that stay inside.
func (d rootFolder) sub(name string) (folder, error) {
	before, err := d.r.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNotDir}
	}
	r, err := d.r.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	after, err := r.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = &fs.PathError{Op: "open", Path: name, Err: errSwapped}
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return rootFolder{r}, nil
}

var (
	errNotDir  = errors.New("not a directory")
	errSwapped = errors.New("was replaced while being opened")
)

func (d rootFolder) stat(name string) (fs.FileMode, error) {
	fi, err := d.r.Lstat(name)
	if err != nil {
		return 0, err
	}
	return fi.Mode(), nil
}

func (d rootFolder) readlink(name string) (string, error) { return d.r.Readlink(name) }

func (d rootFolder) open(name string) (reader, error) {
	before, err := d.r.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errSwapped}
	}
	f, err := d.r.Open(name)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = &fs.PathError{Op: "open", Path: name, Err: errSwapped}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return osFile{f}, nil
}

func (d rootFolder) mkdir(name string, mode fs.FileMode) error { return d.r.Mkdir(name, mode) }
func (d rootFolder) symlink(text, name string) error           { return d.r.Symlink(text, name) }
func (d rootFolder) remove(name string) error                  { return d.r.Remove(name) }
func (d rootFolder) close() error                              { return d.r.Close() }

func (d rootFolder) create(name string, mode fs.FileMode) (writer, error) {
	f, err := d.r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d rootFolder) finish(name string, mode fs.FileMode, t time.Time) error {
	if mode.IsDir() {
		if err := d.r.Chmod(name, mode&^fs.ModeDir); err != nil {
			return err
		}
	}
	if t.IsZero() {
		return nil
	}
	return d.r.Chtimes(name, t, t)
}

// osFile is a reader and a writer.
type osFile struct{ f *os.File }

func (f osFile) Read(b []byte) (int, error)   { return f.f.Read(b) }
func (f osFile) Write(b []byte) (int, error)  { return f.f.Write(b) }
func (f osFile) Close() error                 { return f.f.Close() }
func (f osFile) sync() error                  { return f.f.Sync() }
func (f osFile) chmod(mode fs.FileMode) error { return f.f.Chmod(mode) }

func (f osFile) mode() (fs.FileMode, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Mode(), nil
}
