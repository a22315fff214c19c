package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Sender answers what hosts ask of one revision. It may be used for many hosts at
// once.
type Sender struct {
	bundle *revision.Bundle
	chunks []wire.Chunk
	digest string
	shares shares
	limit  int64 // of what hosts share, bytes
}

// NewSender prepares to send a bundle.
func NewSender(b *revision.Bundle) *Sender {
	return &Sender{bundle: b, chunks: wire.Chunks(b.Manifest), digest: b.Manifest.Digest(), limit: maxShared}
}

// Content describes the revision to a host. The list of chunks may be left out where
// the host is not likely to need it: it can ask for it.
func (s *Sender) Content(list bool) *wire.Content {
	c := &wire.Content{Kind: s.bundle.Kind, Digest: s.digest, Notes: s.bundle.Notes}
	if !list {
		return c
	}
	for _, k := range s.chunks {
		c.Chunks = append(c.Chunks, k.ID[:]...)
	}
	return c
}

// Answer writes what was asked for to out, compressed. A file that is not what the
// manifest says any more is found by the host, which compares.
//
// The stream has several frames: of the lists, of the files that many hosts are sent,
// and of the others.
func (s *Sender) Answer(ctx context.Context, w wire.Want, out io.Writer) error {
	err := framed(out, func(z io.Writer) error {
		if w.List {
			for _, k := range s.chunks {
				if _, err := z.Write(k.ID[:]); err != nil {
					return err
				}
			}
		}
		return s.sendChunks(w.Chunks, z)
	})
	if err != nil || len(w.Files) == 0 {
		return err
	}
	if err := s.known(w.Files); err != nil {
		return err
	}
	sh, leave := s.shares.join(w.Files, func(sh *share) { s.fill(w.Files, sh) })
	defer leave()
	rest := w.Files
	if sh != nil {
		rest, err = sh.copyTo(ctx, out)
	}
	if err != nil || len(rest) == 0 {
		return err
	}
	return framed(out, func(z io.Writer) error {
		_, err := s.sendFiles(ctx, rest, z, math.MaxInt64)
		return err
	})
}

// fill makes what many hosts are sent.
func (s *Sender) fill(want [][2]int, sh *share) {
	var rest [][2]int
	err := framed(sh, func(z io.Writer) (err error) {
		rest, err = s.sendFiles(sh.ctx, want, z, s.limit)
		return err
	})
	sh.end(rest, err)
}

// framed compresses what write writes.
func framed(out io.Writer, write func(io.Writer) error) error {
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(4<<20), zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return err
	}
	return errors.Join(write(z), z.Close())
}

func (s *Sender) sendChunks(list []int, out io.Writer) error {
	for _, i := range list {
		if i < 0 || i >= len(s.chunks) {
			return fmt.Errorf("the host asks for chunk %d of %d", i, len(s.chunks))
		}
		data := s.chunks[i].Data
		if _, err := out.Write(append(binary.BigEndian.AppendUint64(nil, uint64(len(data))), data...)); err != nil {
			return err
		}
	}
	return nil
}

// known makes sure that files which are asked for are in the manifest.
func (s *Sender) known(ranges [][2]int) error {
	all := len(s.bundle.Manifest.Entries)
	for _, r := range ranges {
		if r[0] < 0 || r[1] < 0 || r[0] > all || r[1] > all-r[0] {
			return fmt.Errorf("the host asks for files %d to %d of %d", r[0], r[0]+r[1], all)
		}
	}
	return nil
}

// sendFiles writes the content of files, up to the one with which there would be more
// than limit bytes, and returns what was not written.
func (s *Sender) sendFiles(ctx context.Context, ranges [][2]int, out io.Writer, limit int64) (rest [][2]int, err error) {
	root, err := os.OpenRoot(s.bundle.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	buf := make([]byte, 256<<10)
	for n, r := range ranges {
		for i := r[0]; i < r[0]+r[1]; i++ {
			e := &s.bundle.Manifest.Entries[i]
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			if limit -= e.Size; limit < 0 {
				return append([][2]int{{i, r[0] + r[1] - i}}, ranges[n+1:]...), nil
			}
			if err := sendFile(root, e, out, buf); err != nil {
				return nil, fmt.Errorf("%s: %w; open the revision again", e.Path, err)
			}
		}
	}
	return nil, nil
}

func sendFile(root *os.Root, e *revision.Entry, out io.Writer, buf []byte) error {
	f, err := root.Open(filepath.FromSlash(e.Path))
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(out, io.LimitReader(f, e.Size), buf)
	if err == nil && n != e.Size {
		err = fmt.Errorf("has %d bytes, not %d", n, e.Size)
	}
	return err
}
