package transfer

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool is a file of file contents, one after another, each behind its digest and
// its length. A directory full of small files would cost many times as much.
type spool struct {
	f  *os.File
	w  *bufio.Writer
	at map[string]place // by digest, hex
	n  int64            // bytes of whole records
}

type place struct{ offset, size int64 }

// recordHead is the length of a digest and a size.
const recordHead = sha256.Size + 8

// openSpool opens a spool and reads what an earlier transfer left in it. What was
// cut off or is damaged goes, and all that is behind it.
func openSpool(path string) (*spool, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	s := &spool{f: f, at: map[string]place{}}
	r := bufio.NewReaderSize(f, 64<<10)
	for s.recover(r) {
	}
	_, err = f.Seek(s.n, io.SeekStart)
	if err = errors.Join(err, f.Truncate(s.n)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.w = bufio.NewWriterSize(f, 256<<10)
	return s, nil
}

// recover reads one record, and reports whether it is whole.
func (s *spool) recover(r io.Reader) bool {
	var head [recordHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return false
	}
	size := int64(binary.BigEndian.Uint64(head[sha256.Size:]))
	h := sha256.New()
	if n, err := io.CopyN(h, r, max(size, 0)); err != nil || n != size || string(h.Sum(nil)) != string(head[:sha256.Size]) {
		return false
	}
	s.added(hex.EncodeToString(head[:sha256.Size]), size)
	return true
}

func (s *spool) added(digest string, size int64) {
	s.at[digest] = place{s.n + recordHead, size}
	s.n += recordHead + size
}

// ErrDigest says that something is not what was pinned or announced.
var ErrDigest = errors.New("not the pinned revision")

// ErrUnavailable says that the revision cannot be had from where it should be.
var ErrUnavailable = errors.New("not to be had")

var errContent = fmt.Errorf("%w: the content that was sent does not have the announced digest: it changed since the revision was opened, or was damaged on the way", ErrDigest)

// add takes the next size bytes of r for the file of that digest. Buf is used for
// copying.
func (s *spool) add(r io.Reader, digest string, size int64, buf []byte) error {
	sum, err := hex.DecodeString(digest)
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("the manifest has a digest that is none: %q", digest)
	}
	head := binary.BigEndian.AppendUint64(sum, uint64(size))
	if _, err := s.w.Write(head); err != nil {
		return err
	}
	h := sha256.New()
	for left := size; left > 0; {
		piece := buf[:min(int64(len(buf)), left)]
		n, err := io.ReadFull(r, piece)
		if err != nil {
			return brokenOff(err)
		}
		h.Write(piece)
		if _, err := s.w.Write(piece); err != nil {
			return err
		}
		left -= int64(n)
	}
	if string(h.Sum(nil)) != string(sum[:sha256.Size]) {
		return errContent
	}
	s.added(digest, size)
	return nil
}

func brokenOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the stream ended too early: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// open reads the content of a digest. Any number of goroutines may.
func (s *spool) open(digest string) (io.ReadCloser, bool) {
	p, ok := s.at[digest]
	if !ok {
		return nil, false
	}
	return io.NopCloser(io.NewSectionReader(s.f, p.offset, p.size)), true
}
