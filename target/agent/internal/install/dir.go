package install

import (
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// kind is what a path is, as far as installing is concerned.
type kind byte

const (
	kindNone  kind = 0
	kindFile  kind = 'f'
	kindDir   kind = 'd'
	kindLink  kind = 'l'
	kindOther kind = 'o' // pipes, sockets, devices
)

func (k kind) String() string {
	switch k {
	case kindNone:
		return "nothing"
	case kindFile:
		return "file"
	case kindDir:
		return "directory"
	case kindLink:
		return "link"
	}
	return "special file"
}

// stat is what we need to know of a file, the link itself for links.
type stat struct {
	Kind  kind
	Mode  fs.FileMode // permission and special bits only
	Size  int64
	Mtime int64 // nanoseconds
	Ctime int64 // nanoseconds; 0: the system has none
	Ino   uint64
	Dev   uint64
	UID   int
	GID   int
}

const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

func kindOf(m fs.FileMode) kind {
	switch m.Type() {
	case 0:
		return kindFile
	case fs.ModeDir:
		return kindDir
	case fs.ModeSymlink:
		return kindLink
	}
	return kindOther
}

func unixTime(nano int64) time.Time { return time.Unix(0, nano) }

// openDir opens an absolute, clean directory path one component at a time, none of
// which may be a link. What the path led to when it was planned is what is opened,
// or nothing.
func openDir(path string) (*dir, error) {
	vol := filepath.VolumeName(path) + string(filepath.Separator)
	d, err := openRootDir(vol)
	if err != nil {
		return nil, err
	}
	rest := strings.TrimPrefix(path, vol)
	for rest != "" {
		name := rest
		if i := strings.IndexByte(rest, filepath.Separator); i >= 0 {
			name, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		sub, err := d.open(name)
		d.close()
		if err != nil {
			return nil, &fs.PathError{Op: "open directory", Path: path, Err: cause(err)}
		}
		d = sub
	}
	return d, nil
}

// cause takes the path out of an error whose path would be shown twice.
func cause(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}

// under says whether path is dir or lies below it; both are clean and absolute.
func under(path, dir string) bool {
	if path == dir || strings.HasSuffix(dir, string(filepath.Separator)) && strings.HasPrefix(path, dir) {
		return true
	}
	return len(path) > len(dir) && path[len(dir)] == filepath.Separator && strings.HasPrefix(path, dir)
}

// sameFile says whether two looks were at one file. Systems without inode numbers
// are judged by what they do tell.
func sameFile(a, b stat) bool {
	if a.Ino == 0 && b.Ino == 0 {
		return a == b
	}
	return a.Ino == b.Ino && a.Dev == b.Dev
}
