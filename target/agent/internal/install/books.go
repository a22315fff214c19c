package install

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Names in a State directory.
const (
	ownedName = "owned"      // what the group owns; its rename is the commit
	nextName  = "owned.next" // the list of an install under way
	undoName  = "undo.jsonl" // what an install under way does; gone when it is over
	keptName  = "kept"       // foreign files taken, edited files replaced
)

// booksVersion is that of an ownership list. The first had lines of JSON, in a file of
// another name.
const (
	booksVersion = 2
	firstName    = "owned.jsonl"
)

// booksHead is the first line of an ownership list.
type booksHead struct {
	Version    int    `json:"version"`
	Txn        string `json:"txn"` // install that wrote the list
	Group      string `json:"group,omitempty"`
	Deployment string `json:"deployment,omitempty"`
	// Edited are the kept copies of edited files by install, newest first; the
	// third and older ones are dropped.
	Edited []string `json:"edited,omitempty"`
}

type books struct {
	head    booksHead
	records []*record // sorted by path
	settled int64     // ctime of the list: what changed before it is as recorded
}

// writeLines writes lines with a checksum in the last one, synced, under a temporary
// name, and renames it to path. A reader sees it whole or not at all. No line begins
// with a quote.
func writeLines(path string, lines func(w io.Writer) error) (err error) {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path + ".tmp")
		}
	}()
	sum := sha256.New()
	w := bufio.NewWriterSize(f, 64<<10)
	if err = lines(io.MultiWriter(w, sum)); err != nil {
		return err
	}
	if _, err = fmt.Fprintf(w, "%q\n", hex.EncodeToString(sum.Sum(nil))); err != nil {
		return err
	}
	if err = w.Flush(); err == nil {
		if err = f.Sync(); err == nil {
			if err = f.Close(); err == nil {
				err = os.Rename(path+".tmp", path)
			}
		}
	}
	if err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// readLines reads what writeLines wrote. A file that is not whole is an error.
func readLines(path string, line func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	r := bufio.NewReaderSize(f, 64<<10)
	last := false
	for n := 1; ; n++ {
		b, err := r.ReadBytes('\n')
		switch {
		case err == io.EOF && len(b) == 0 && last:
			return nil
		case err != nil && err != io.EOF:
			return err
		case err == io.EOF || last:
			return fmt.Errorf("%s is damaged at line %d", path, n)
		}
		if b[0] == '"' {
			if string(bytes.Trim(b, "\"\n")) != hex.EncodeToString(sum.Sum(nil)) {
				return fmt.Errorf("%s is damaged: its checksum is wrong", path)
			}
			last = true
			continue
		}
		sum.Write(b)
		if err := line(b); err != nil {
			return fmt.Errorf("%s cannot be read at line %d: %w", path, n, err)
		}
	}
}

// writeJSONLines writes lines of JSON in the same way.
func writeJSONLines(path string, lines func(put func(any) error) error) error {
	return writeLines(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return lines(enc.Encode)
	})
}

func syncPath(path string) error {
	if !syncsDirs {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// readBooks reads a list; one that does not exist is empty.
func readBooks(path string) (*books, error) {
	b := &books{}
	first := true
	err := readLines(path, func(line []byte) error {
		if first {
			first = false
			return b.readHead(line)
		}
		r, err := parseRecord(string(line))
		if n := len(b.records); n > 0 && b.records[n-1].By == r.By {
			r.By = b.records[n-1].By // one string in memory
		}
		b.records = append(b.records, r)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return &books{}, nil
	}
	if err != nil {
		return nil, err
	}
	if st, err := statPath(path); err == nil {
		b.settled = st.Ctime
	}
	return b, nil
}

func (b *books) readHead(line []byte) error {
	if err := json.Unmarshal(line, &b.head); err != nil {
		return err
	}
	if v := b.head.Version; v != booksVersion {
		return fmt.Errorf("the list has version %d, this build reads version %d: deploy with the build that wrote it", v, booksVersion)
	}
	return nil
}

// readOwned reads the list of what a group owns. One that only another build can read is
// an error, not an empty list: what is in it would belong to nobody.
func readOwned(state string) (*books, error) {
	b, err := readBooks(filepath.Join(state, ownedName))
	if err != nil || b.head.Version != 0 {
		return b, err
	}
	if _, err := os.Lstat(filepath.Join(state, firstName)); err == nil {
		return nil, fmt.Errorf("%s holds %s, a list of an older build that this one cannot read: move %[2]s away and deploy once with OVERWRITE, and remove by hand what it lists and the revision has not", state, firstName)
	}
	return b, nil
}

// writeBooks writes a list and returns what tidying up needs of it: the head, and the
// records with kept files.
func writeBooks(path string, head booksHead, records iter.Seq[*record]) (*books, error) {
	b := &books{head: head}
	return b, writeLines(path, func(w io.Writer) error {
		line, err := json.Marshal(head)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		for r := range records {
			if line, err = r.appendTo(line[:0]); err != nil {
				return err
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
			if r.Took != nil {
				b.records = append(b.records, r)
			}
		}
		return nil
	})
}

func statPath(path string) (stat, error) {
	d, err := openParent(path)
	if err != nil {
		return stat{}, err
	}
	defer d.close()
	return d.lstat(filepath.Base(path))
}

// openParent opens the directory that holds path. State may lie behind links: it is
// the caller's own.
func openParent(path string) (*dir, error) {
	real, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return openDir(real)
}

func ownedItems(state string) ([]Item, error) {
	b, err := readOwned(state)
	if err != nil {
		return nil, err
	}
	items := make([]Item, 0, len(b.records))
	for _, r := range b.records {
		items = append(items, Item{
			Path: r.Path, Kind: r.Kind.String(), Digest: r.Digest, Link: r.Link, Took: r.Took != nil, Deployment: r.By,
		})
	}
	return items, nil
}

// bytesMark starts a text that JSON could not hold. No path begins with it.
const bytesMark = "\x00"

// armour makes a path safe for JSON, which knows no bytes that are not UTF-8.
func armour(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	return bytesMark + base64.StdEncoding.EncodeToString([]byte(path))
}

func disarm(text string) string {
	code, ok := strings.CutPrefix(text, bytesMark)
	if !ok {
		return text
	}
	path, err := base64.StdEncoding.DecodeString(code)
	if err != nil {
		return text // holds a NUL: no file has that name
	}
	return string(path)
}
