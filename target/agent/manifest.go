package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/revision"
)

// writeManifest streams a manifest to a file, one entry a line: type and mode in
// octal as Go has them, size, time in nanoseconds, digest, path and link, these two
// quoted. A manifest may be large and is read at every install; JSON takes ten
// times as long.
func writeManifest(path string, m revision.Manifest) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	var b []byte
	for i := range m.Entries {
		b = appendEntry(b[:0], &m.Entries[i])
		if _, err := w.Write(b); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Sync(), f.Close())
}

func appendEntry(b []byte, e *revision.Entry) []byte {
	var nano int64
	if !e.ModTime.IsZero() {
		nano = e.ModTime.UnixNano()
	}
	b = strconv.AppendUint(b, uint64(e.Mode), 8)
	b = strconv.AppendInt(append(b, ' '), e.Size, 10)
	b = strconv.AppendInt(append(b, ' '), nano, 10)
	b = append(append(b, ' '), e.Digest...)
	b = strconv.AppendQuote(append(b, ' '), e.Path)
	b = strconv.AppendQuote(append(b, ' '), e.Link)
	return append(b, '\n')
}

func readManifest(path string) (revision.Manifest, error) {
	var m revision.Manifest
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return m, nil
		}
		if err != nil {
			return m, fmt.Errorf("%s is damaged: %w", path, err)
		}
		e, err := parseEntry(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return m, fmt.Errorf("%s is damaged: line %d: %w", path, len(m.Entries)+1, err)
		}
		m.Entries = append(m.Entries, e)
	}
}

func parseEntry(line string) (revision.Entry, error) {
	f := strings.SplitN(line, " ", 5)
	if len(f) < 5 {
		return revision.Entry{}, errors.New("too few fields")
	}
	mode, err1 := strconv.ParseUint(f[0], 8, 32)
	size, err2 := strconv.ParseInt(f[1], 10, 64)
	nano, err3 := strconv.ParseInt(f[2], 10, 64)
	quoted, err4 := strconv.QuotedPrefix(f[4])
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return revision.Entry{}, err
	}
	path, err1 := strconv.Unquote(quoted)
	link, err2 := strconv.Unquote(strings.TrimPrefix(f[4][len(quoted):], " "))
	e := revision.Entry{Path: path, Mode: fs.FileMode(mode), Size: size, Digest: f[3], Link: link}
	if nano != 0 {
		e.ModTime = time.Unix(0, nano).UTC()
	}
	return e, errors.Join(err1, err2)
}
