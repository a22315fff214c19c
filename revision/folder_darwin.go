package revision

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// list reads the directory from its beginning.
func (d fdFolder) list() ([]item, error) {
	fd, err := openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	items := make([]item, 0, len(names))
	for _, name := range names {
		mode, err := d.stat(name)
		if err != nil {
			return nil, err
		}
		items = append(items, item{name, mode.Type()})
	}
	return items, nil
}

// syncsTrees says that each file is to be synced when it is written.
const syncsTrees = false

// syncTree writes out the folders.
func syncTree(dir string, entries []Entry) error {
	if err := syncDir(dir); err != nil {
		return err
	}
	for i := range entries {
		if entries[i].Mode.IsDir() {
			if err := syncDir(filepath.Join(dir, entries[i].Path)); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
