package revision

import (
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// folder is an open directory. Its methods take plain names, never paths, and
// none of them follows a link: what is reached through folders is below the
// first one.
type folder interface {
	list() ([]item, error)
	sub(name string) (folder, error)
	stat(name string) (fs.FileMode, error)
	readlink(name string) (string, error)
	open(name string) (reader, error)

	mkdir(name string, mode fs.FileMode) error
	symlink(text, name string) error
	create(name string, mode fs.FileMode) (writer, error) // must not exist; mode passes the umask
	finish(name string, mode fs.FileMode, t time.Time) error
	remove(name string) error

	close() error
}

type item struct {
	name string
	kind fs.FileMode // type bits only
}

type reader interface {
	io.ReadCloser
	mode() (fs.FileMode, error)
}

type writer interface {
	io.WriteCloser
	chmod(mode fs.FileMode) error // exactly, whatever the umask
	sync() error
}

// maxOpen bounds the directories that a cursor holds open; deeper ones are
// reopened from the nearest that is still open.
const maxOpen = 64

// cursor reaches the directories of a tree one after another. Going through
// sorted paths it opens each directory about once.
type cursor struct {
	levels []level // the first is the root, and stays
}

type level struct {
	path string // "." is the root
	f    folder
}

func newCursor(root folder) *cursor { return &cursor{levels: []level{{".", root}}} }

// at returns the directory of a clean slash-separated path. It is valid until
// the next call.
func (c *cursor) at(dir string) (folder, error) {
	for len(c.levels) > 1 && !within(dir, c.top().path) {
		c.pop()
	}
	for c.top().path != dir {
		rest := dir
		if p := c.top().path; p != "." {
			rest = dir[len(p)+1:]
		}
		name, _, _ := strings.Cut(rest, "/")
		f, err := c.top().f.sub(name)
		if err != nil {
			return nil, err
		}
		c.levels = append(c.levels, level{dir[:len(dir)-len(rest)+len(name)], f})
		if n := len(c.levels); n > maxOpen {
			c.levels[n-2].f.close()
			c.levels = append(c.levels[:n-2], c.levels[n-1])
		}
	}
	return c.top().f, nil
}

// parent returns the directory that holds a path, and the last name of the path.
func (c *cursor) parent(p string) (folder, string, error) {
	f, err := c.at(path.Dir(p))
	return f, path.Base(p), err
}

func (c *cursor) top() level { return c.levels[len(c.levels)-1] }

func (c *cursor) pop() {
	c.top().f.close()
	c.levels = c.levels[:len(c.levels)-1]
}

// close closes everything, the root included.
func (c *cursor) close() {
	for len(c.levels) > 0 {
		c.pop()
	}
}

// within reports whether dir is p or below it.
func within(dir, p string) bool {
	return p == "." || strings.HasPrefix(dir, p) && (len(dir) == len(p) || dir[len(p)] == '/')
}
