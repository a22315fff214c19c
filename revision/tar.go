package revision

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// small files are read by the goroutine that reads the archive and written by
// others; larger ones it writes itself.
const small = 64 << 10

// tar unpacks a plain tar.
func (u *unpacker) tar(ctx context.Context, r io.Reader) error {
	root, err := openRootFolder(u.work)
	if err != nil {
		return unwritable("", err)
	}
	u.dirs = newCursor(root)
	defer u.dirs.close()
	w := &tarWriter{u: u, jobs: make(chan tarJob, 2*defaultWorkers), free: sync.Pool{New: func() any { return new([small]byte) }}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for range defaultWorkers {
		w.wg.Go(func() {
			if err := w.work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	err = u.readTar(ctx, r, w)
	if err != nil {
		cancel(err)
	}
	close(w.jobs)
	w.wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx) // the first error of whoever had one
	}
	return nil
}

type tarJob struct {
	m    *member
	data *[small]byte
	n    int64
}

type tarWriter struct {
	u    *unpacker
	jobs chan tarJob
	free sync.Pool
	wg   sync.WaitGroup
}

func (w *tarWriter) work(ctx context.Context) error {
	root, err := openRootFolder(w.u.work)
	if err != nil {
		return unwritable("", err)
	}
	c := newCursor(root)
	defer c.close()
	buf := make([]byte, small)
	for j := range w.jobs {
		if err := w.u.write(ctx, c, j.m, bytes.NewReader(j.data[:j.n]), buf); err != nil {
			return err
		}
		w.free.Put(j.data)
	}
	return nil
}

// readTar goes through the members in their order.
func (u *unpacker) readTar(ctx context.Context, r io.Reader, w *tarWriter) error {
	src := &ending{r: bufio.NewReaderSize(r, bufferSize)}
	tr := tar.NewReader(src)
	buf := make([]byte, bufferSize)
	for headers := 0; ; headers++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := tr.Next()
		if err == io.EOF {
			return src.finish(ctx, buf)
		}
		if errors.Is(err, tar.ErrFieldTooLong) {
			return refuse(HeaderTooLarge, "", "a member's header is longer than %d bytes; pack it again without extended headers", maxHeader)
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return damaged("", err)
		}
		if headers > 2*u.lim.Members {
			return refuse(TooLarge, "", "archive has more than %d members, the limit", u.lim.Members)
		}
		if err := u.tarMember(ctx, tr, h, w, buf); err != nil {
			return err
		}
	}
}

func (u *unpacker) tarMember(ctx context.Context, tr *tar.Reader, h *tar.Header, w *tarWriter, buf []byte) error {
	u.countHeader(h)
	mode := h.FileInfo().Mode() & kept
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return globalHeader(h)
	case tar.TypeReg, tar.TypeCont:
		if isSparse(h) {
			return sparse(h)
		}
		if mode.Type() != 0 { // a type in the mode bits that the header does not have
			mode = mode.Perm() | mode&(fs.ModeSetuid|fs.ModeSetgid)
		}
		return u.tarFile(ctx, tr, h, mode, w, buf)
	case tar.TypeDir:
		_, err := u.add(h.Name, mode, h.ModTime)
		return err
	case tar.TypeSymlink:
		m, err := u.add(h.Name, fs.ModeSymlink, h.ModTime)
		if err != nil {
			return err
		}
		return u.addLink(h.Name, h.Linkname, m)
	case tar.TypeLink:
		return u.addHard(h.Name, h.Linkname, h.ModTime)
	case tar.TypeGNUSparse:
		return sparse(h)
	}
	return refuse(MemberType, h.Name, "is a device, named pipe or another special member (type %q); a revision holds files, folders and links only", h.Typeflag)
}

func (u *unpacker) tarFile(ctx context.Context, tr *tar.Reader, h *tar.Header, mode fs.FileMode, w *tarWriter, buf []byte) error {
	if err := u.account(h.Name, h.Size); err != nil {
		return err
	}
	m, err := u.add(h.Name, mode, h.ModTime)
	if err != nil {
		return err
	}
	m.Size = h.Size // known to hard links before it has been written
	if h.Size > small {
		return u.write(ctx, u.dirs, m, tr, buf)
	}
	data := w.free.Get().(*[small]byte)
	if _, err := io.ReadFull(tr, data[:h.Size]); err != nil {
		return damaged(h.Name, err)
	}
	select {
	case w.jobs <- tarJob{m, data, h.Size}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (u *unpacker) countHeader(h *tar.Header) {
	if h.Uid != 0 || h.Gid != 0 {
		u.tolerate[foreignOwners]++
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") || strings.HasPrefix(k, "LIBARCHIVE.xattr.") || strings.HasPrefix(k, "SCHILY.acl.") || strings.HasPrefix(k, "RHT.security.") {
			u.tolerate[extended]++
			return
		}
	}
}

// globalHeader takes the comments that source hosts write, and refuses what
// would change members: tools do not agree on that.
func globalHeader(h *tar.Header) error {
	for _, k := range []string{"path", "linkpath", "size"} {
		if _, ok := h.PAXRecords[k]; ok {
			return refuse(MemberPath, "", "a global header sets the %s of all members; pack it again without", k)
		}
	}
	return nil
}

func isSparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func sparse(h *tar.Header) error {
	return refuse(SparseNotAllowed, h.Name, "is a sparse file; pack it again without --sparse")
}

// ending notices where an archive ends: after its end marker, or just so.
type ending struct {
	r   io.Reader
	cut bool
}

func (e *ending) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	if n > 0 {
		return n, nil
	}
	e.cut = e.cut || err == io.EOF
	return 0, err
}

// finish reads what follows the end marker: only zeros may. It is read to the
// end, so that the checksum of a compressed archive is looked at.
func (e *ending) finish(ctx context.Context, buf []byte) error {
	if e.cut {
		return refuse(ArchiveTruncated, "", "archive has no end marker, so its end may be missing; get it again")
	}
	if _, err := stream(ctx, e.r, zeros{}, buf); err != nil {
		return damaged("", err)
	}
	return nil
}

type zeros struct{}

func (zeros) Write(b []byte) (int, error) {
	if !allZero(b) {
		return 0, refuse(ArchiveCorrupt, "", "data follows the end of the archive; get it again, or pack it again")
	}
	return len(b), nil
}

// gzip unpacks a compressed tar, of one or more gzip members.
func (u *unpacker) gzip(ctx context.Context, f *os.File) error {
	packed := bufio.NewReaderSize(f, bufferSize)
	z, err := gzip.NewReader(packed)
	if err != nil {
		return damaged("", err)
	}
	z.Multistream(false)
	r := bufio.NewReaderSize(&gunzip{u: u, z: z, packed: packed}, bufferSize)
	head, err := r.Peek(block)
	if err != nil && err != io.EOF {
		return damaged("", err)
	}
	if !isTar(head) {
		return refuse(NotAnArchive, "", "%sholds %s, compressed, instead of a tar archive; pack it again", named(f.Name()), looksLike(head))
	}
	return u.tar(ctx, r)
}

// gunzip joins gzip members, bounds what comes out, and takes zeros after the
// last one for padding.
type gunzip struct {
	u      *unpacker
	z      *gzip.Reader
	packed *bufio.Reader
	n      int64
	done   bool
}

func (g *gunzip) Read(b []byte) (int, error) {
	for !g.done {
		n, err := g.z.Read(b)
		if g.n += int64(n); g.n > 2*g.u.lim.Bytes {
			return 0, refuse(TooLarge, "", "archive unpacks to more than %d bytes, the limit", g.u.lim.Bytes)
		}
		if bomb := g.u.bomb("", g.n, g.u.packed); bomb != nil {
			return 0, bomb
		}
		if err == io.EOF {
			err = g.next()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// next goes to the next member, if there is one.
func (g *gunzip) next() error {
	head, err := g.packed.Peek(2)
	if len(head) == 0 && err == io.EOF {
		g.done = true
		return nil
	}
	if err == nil && head[0] == 0x1f && head[1] == 0x8b {
		if err := g.z.Reset(g.packed); err != nil {
			return err
		}
		g.z.Multistream(false)
		return nil
	}
	g.done = true
	buf := make([]byte, 4096)
	for {
		n, err := g.packed.Read(buf)
		if !allZero(buf[:n]) {
			return refuse(ArchiveCorrupt, "", "data follows the end of the archive; get it again, or pack it again")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
