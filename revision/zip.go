package revision

import (
	"bufio"
	"compress/flate"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strings"
)

// zip unpacks a zip archive.
func (u *unpacker) zip(ctx context.Context, f *os.File) error {
	root, err := openRootFolder(u.work)
	if err != nil {
		return unwritable("", err)
	}
	u.dirs = newCursor(root)
	defer u.dirs.close()
	records, err := readZip(f, u.packed, u.lim.Members)
	if err != nil {
		return err
	}
	var files []zipFile
	for i := range records {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m, err := u.zipMember(f, &records[i])
		if err != nil {
			return err
		}
		if m != nil {
			files = append(files, zipFile{&records[i], m})
		}
	}
	start := func() (*zipWorker, error) {
		root, err := openRootFolder(u.work)
		if err != nil {
			return nil, unwritable("", err)
		}
		return &zipWorker{c: newCursor(root), buf: make([]byte, bufferSize), packed: bufio.NewReaderSize(nil, 32<<10), z: flate.NewReader(nil)}, nil
	}
	stop := func(w *zipWorker) { w.c.close() }
	return each(ctx, len(files), 0, start, stop, func(w *zipWorker, i int) error {
		return u.write(ctx, w.c, files[i].m, w.content(f, files[i].rec), w.buf)
	})
}

type zipFile struct {
	rec *zipRecord
	m   *member
}

// zipMember takes one member in, and returns it if it is a file with content
// still to be written.
func (u *unpacker) zipMember(f *os.File, rec *zipRecord) (*member, error) {
	name, mode := rec.name, rec.mode()
	switch {
	case mode.IsDir() && rec.size > 0:
		return nil, refuse(MemberType, name, "is a folder with content; pack it again")
	case mode.IsDir():
		_, err := u.add(name, mode, rec.modTime)
		return nil, err
	case mode.Type() == fs.ModeSymlink:
		return nil, u.zipLink(f, rec)
	case !mode.IsRegular():
		return nil, refuse(MemberType, name, "is a %s; a revision holds files, folders and links only", typeName(mode))
	}
	if err := u.account(name, rec.size); err != nil {
		return nil, err
	}
	if err := u.bomb(name, rec.size, rec.packed); err != nil {
		return nil, err
	}
	m, err := u.add(name, mode, rec.modTime)
	if err != nil {
		return nil, err
	}
	m.Size = rec.size
	return m, nil
}

// zipLink reads the text of a link, which is its content.
func (u *unpacker) zipLink(f *os.File, rec *zipRecord) error {
	if rec.size > maxPath {
		return refuse(MemberName, rec.name, "text of the link has %d bytes, more than %d", rec.size, maxPath)
	}
	w := &zipWorker{packed: bufio.NewReaderSize(nil, 4096), z: flate.NewReader(nil)}
	text, err := io.ReadAll(w.content(f, rec))
	if err != nil {
		return damaged(rec.name, err)
	}
	m, err := u.add(rec.name, fs.ModeSymlink, rec.modTime)
	if err != nil {
		return err
	}
	return u.addLink(rec.name, string(text), m)
}

// mode is the mode that a Unix archiver wrote, or a plain one.
func (r *zipRecord) mode() fs.FileMode {
	isDir := strings.HasSuffix(r.name, "/")
	m := fs.FileMode(0o644)
	if isDir {
		m = 0o755
	}
	const unix, macOS = 3, 19
	if u := r.attributes >> 16; (r.creator == unix || r.creator == macOS) && u != 0 {
		m = zipMode(u)
	}
	if isDir && m.Type() == 0 {
		m |= fs.ModeDir
	}
	return m
}

// zipMode turns the Unix mode of an archive into Go's, on any system.
func zipMode(u uint32) fs.FileMode {
	m := fs.FileMode(u & 0o777)
	for bit, mode := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if u&bit != 0 {
			m |= mode
		}
	}
	types := map[uint32]fs.FileMode{0: 0, 0o100000: 0, 0o040000: fs.ModeDir, 0o120000: fs.ModeSymlink, 0o010000: fs.ModeNamedPipe,
		0o140000: fs.ModeSocket, 0o020000: fs.ModeDevice | fs.ModeCharDevice, 0o060000: fs.ModeDevice}
	t, ok := types[u&0o170000]
	if !ok {
		t = fs.ModeIrregular
	}
	return m | t
}

// zipWorker reads members one after another.
type zipWorker struct {
	c      *cursor
	buf    []byte
	packed *bufio.Reader
	z      io.ReadCloser
}

// content is the unpacked content of a member. It ends well only if size and
// checksum are as declared and the packed data is used up.
func (w *zipWorker) content(f io.ReaderAt, rec *zipRecord) io.Reader {
	w.packed.Reset(io.NewSectionReader(f, rec.data, rec.packed))
	r := io.Reader(w.packed)
	if rec.method == deflated {
		w.z.(flate.Resetter).Reset(w.packed, nil)
		r = w.z
	}
	return &checked{r: r, rest: w.packed, rec: rec}
}

type checked struct {
	r    io.Reader
	rest *bufio.Reader
	rec  *zipRecord
	n    int64
	sum  uint32
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, b[:n])
	if c.n > c.rec.size {
		return 0, fmt.Errorf("more than the %d bytes that are declared", c.rec.size)
	}
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, fmt.Errorf("compressed data: %v", err)
	}
	_, left := c.rest.ReadByte()
	switch {
	case c.n != c.rec.size:
		return n, fmt.Errorf("%d bytes instead of the %d that are declared", c.n, c.rec.size)
	case c.sum != c.rec.crc:
		return n, fmt.Errorf("checksum differs")
	case left == nil:
		return n, fmt.Errorf("unused data after the compressed content")
	}
	return n, io.EOF
}
