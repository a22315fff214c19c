// Package fetch brings archives from the network to a file: bounded in size, refused
// when they stall, tried again when they break off, and hashed on the way.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/cutover-deploy/cutover/revision"
)

// Part is an answer of a service: the content from some offset to the end.
type Part struct {
	Body   io.ReadCloser
	Offset int64  // where Body begins
	Size   int64  // of the whole; -1: not known
	ID     string // names exactly this content, for ever; empty: it cannot be gone on with
}

// Source asks a service for the content from an offset on. Id, if not empty, is that
// of the part that broke off. An error that is [Final] is not tried again. The context
// ends when the part has been read or given up.
type Source func(ctx context.Context, offset int64, id string) (Part, error)

// Final marks an error that asking again does not mend.
func Final(err error) error { return final{err} }

type final struct{ error }

func (f final) Unwrap() error { return f.error }

// Result is what came.
type Result struct {
	SHA256 string // hex
	Size   int64
}

// ToFile fetches into a new file. A transfer that breaks off goes on where it was if
// the service can name exactly the same content, and begins anew if not.
func ToFile(ctx context.Context, path string, limit revision.Transfer, ask Source) (Result, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Result{}, failed(revision.WriteFailed, "%w", err)
	}
	d := &download{to: f, limit: defaults(limit), ask: ask, hash: sha256.New()}
	err = d.run(ctx)
	if err2 := f.Close(); err == nil && err2 != nil {
		err = failed(revision.WriteFailed, "%w", err2)
	}
	if err != nil {
		return Result{}, Unmarked(err)
	}
	return Result{SHA256: hex.EncodeToString(d.hash.Sum(nil)), Size: d.have}, nil
}

// ToMemory fetches something small, at most max bytes, under the limits of a transfer.
func ToMemory(ctx context.Context, max int64, limit revision.Transfer, ask Source) ([]byte, error) {
	m := &memory{}
	limit.Bytes = max
	d := &download{to: m, limit: defaults(limit), ask: ask, hash: sha256.New()}
	if err := d.run(ctx); err != nil {
		return nil, Unmarked(err)
	}
	return m.b, nil
}

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memory) Truncate(int64) error { m.b = nil; return nil }

func (m *memory) Seek(int64, int) (int64, error) { return 0, nil }

func defaults(t revision.Transfer) revision.Transfer {
	if t.Bytes <= 0 {
		t.Bytes = 5 << 30
	}
	if t.Rate <= 0 {
		t.Rate = 1 << 10
	}
	if t.Window <= 0 {
		t.Window = 30 * time.Second
	}
	if t.Tries <= 0 {
		t.Tries = 4
	}
	if t.Pause <= 0 {
		t.Pause = time.Second
	}
	return t
}

type file interface {
	io.Writer
	io.Seeker
	Truncate(int64) error
}

// download is one archive on its way.
type download struct {
	to    file
	limit revision.Transfer
	ask   Source
	hash  hash.Hash
	have  int64
	most  int64 // the furthest that any try has come
	id    string
	buf   [64 << 10]byte
}

func (d *download) run(ctx context.Context) error {
	for try := 1; ; try++ {
		err := d.try(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isFinal(err):
			return err
		}
		if d.have > d.most { // what begins anew and stops where it did before brings nothing
			d.most, try = d.have, 1
		}
		if try >= d.limit.Tries {
			return err
		}
		if d.id == "" {
			if err := d.again(); err != nil {
				return err
			}
		}
		if err := pause(ctx, d.limit.Pause, try); err != nil {
			return err
		}
	}
}

// again throws away what came, for what comes next may be something else.
func (d *download) again() error {
	d.have = 0
	d.hash.Reset()
	if err := d.to.Truncate(0); err != nil {
		return Final(failed(revision.WriteFailed, "%w", err))
	}
	if _, err := d.to.Seek(0, io.SeekStart); err != nil {
		return Final(failed(revision.WriteFailed, "%w", err))
	}
	return nil
}

// try asks once and takes what comes.
func (d *download) try(ctx context.Context) error {
	w := watch(ctx, d.limit)
	defer w.stop()
	part, err := d.ask(w.ctx, d.have, d.id)
	if err != nil {
		return w.why(err)
	}
	defer part.Body.Close()
	if err := d.fits(part); err != nil {
		return err
	}
	if part.Size > d.limit.Bytes {
		return Final(d.tooLarge(part.Size))
	}
	d.id = part.ID
	w.close(part.Body)
	if err := d.take(w, part); err != nil {
		return err
	}
	if part.Size >= 0 && d.have != part.Size {
		return failed(revision.ArchiveTruncated, "broke off after %d of %d bytes", d.have, part.Size)
	}
	return nil
}

// fits makes sure that a part goes on with what is there, or begins anew.
func (d *download) fits(part Part) error {
	if part.Offset == d.have && (d.have == 0 || part.ID == d.id) {
		return nil
	}
	d.id = ""
	if err := d.again(); err != nil {
		return err
	}
	if part.Offset == 0 { // the service does not know ranges
		return nil
	}
	return failed(revision.Unreachable, "the service answered from byte %d on, for something else than was asked", part.Offset)
}

func (d *download) tooLarge(size int64) error {
	return failed(revision.TooLarge, "has at least %d bytes; at most %d are allowed", size, d.limit.Bytes)
}

// take reads the body to its end.
func (d *download) take(w *watcher, part Part) error {
	for {
		n, err := part.Body.Read(d.buf[:])
		w.read.Add(int64(n))
		if d.have+int64(n) > d.limit.Bytes {
			return Final(d.tooLarge(d.have + int64(n)))
		}
		if n > 0 {
			d.hash.Write(d.buf[:n])
			if _, err := d.to.Write(d.buf[:n]); err != nil {
				return Final(failed(revision.WriteFailed, "%w", err))
			}
			d.have += int64(n)
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return w.why(failed(revision.Unreachable, "broke off after %d bytes: %w", d.have, err))
		}
	}
}

// pause waits before another try: the first pause, twice, four times and so on.
func pause(ctx context.Context, first time.Duration, try int) error {
	most := max(min(first<<min(try-1, 10), 30*time.Second), 1)
	t := time.NewTimer(most/2 + rand.N(most))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func isFinal(err error) bool {
	_, ok := errors.AsType[final](err)
	return ok
}

// Unmarked takes the mark off.
func Unmarked(err error) error {
	if f, ok := errors.AsType[final](err); ok {
		return f.error
	}
	return err
}

func failed(code revision.Code, format string, args ...any) error {
	return &revision.Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Place makes sure that work is an empty private directory, and names the file in it
// that an archive goes to.
func Place(work string) (string, error) {
	if err := os.MkdirAll(work, 0o700); err != nil {
		return "", failed(revision.WriteFailed, "%w", err)
	}
	items, err := os.ReadDir(work)
	if err == nil && len(items) > 0 {
		err = fmt.Errorf("directory is not empty (it holds %q); give an empty one", items[0].Name())
	}
	if err != nil {
		return "", failed(revision.WriteFailed, "%w", err)
	}
	return filepath.Join(work, "archive"), nil
}

// Discard removes a file. One that stays goes with its directory.
func Discard(path string) { _ = os.Remove(path) }
