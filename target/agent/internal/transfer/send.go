package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
}

// NewSender prepares to send a bundle.
func NewSender(b *revision.Bundle) *Sender {
	return &Sender{bundle: b, chunks: wire.Chunks(b.Manifest), digest: b.Manifest.Digest()}
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
func (s *Sender) Answer(ctx context.Context, w wire.Want, out io.Writer) error {
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(4<<20), zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return err
	}
	if w.List {
		for _, k := range s.chunks {
			_, err = z.Write(k.ID[:])
		}
	}
	err = errors.Join(err, s.sendChunks(w.Chunks, z))
	if err == nil && len(w.Files) > 0 {
		err = s.sendFiles(ctx, w.Files, z)
	}
	return errors.Join(err, z.Close())
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

func (s *Sender) sendFiles(ctx context.Context, ranges [][2]int, out io.Writer) error {
	root, err := os.OpenRoot(s.bundle.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	entries := s.bundle.Manifest.Entries
	buf := make([]byte, 256<<10)
	for _, r := range ranges {
		if r[0] < 0 || r[1] < 0 || r[0] > len(entries) || r[1] > len(entries)-r[0] {
			return fmt.Errorf("the host asks for files %d to %d of %d", r[0], r[0]+r[1], len(entries))
		}
		for i := r[0]; i < r[0]+r[1]; i++ {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := sendFile(root, &entries[i], out, buf); err != nil {
				return fmt.Errorf("%s: %w; open the revision again", entries[i].Path, err)
			}
		}
	}
	return nil
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
