package transfer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// packMagic begins a packed revision. The rest is one compressed stream: a [packHead] as
// JSON, the chunks of the manifest, all with their lengths before them and none behind
// the last one, then the contents of files, in the order of the manifest, each content
// once. Unlike an archive it has a revision as it was opened: all modes, and links
// wherever they lead.
const packMagic = "cutover revision 1\n"

type packHead struct {
	Kind  revision.Kind `json:"kind"`
	Notes []string      `json:"notes,omitempty"`
}

// Pack writes a revision for hosts to fetch. The same revision makes the same bytes.
func Pack(ctx context.Context, b *revision.Bundle, w io.Writer) error {
	open, done, err := contents(b)
	if err != nil {
		return err
	}
	defer done()
	if _, err := io.WriteString(w, packMagic); err != nil {
		return err
	}
	return framed(w, func(z io.Writer) error {
		head, err := json.Marshal(packHead{Kind: b.Kind, Notes: b.Notes})
		if err != nil {
			return err
		}
		sections := [][]byte{head}
		for _, c := range wire.Chunks(b.Manifest) {
			sections = append(sections, c.Data)
		}
		for _, s := range append(sections, nil) {
			if _, err := z.Write(append(binary.BigEndian.AppendUint64(nil, uint64(len(s))), s...)); err != nil {
				return err
			}
		}
		return eachContent(ctx, b.Manifest, func(e *revision.Entry) error { return packFile(open, e, z) })
	})
}

// eachContent calls do for the first file of each content.
func eachContent(ctx context.Context, m revision.Manifest, do func(*revision.Entry) error) error {
	seen := map[string]bool{}
	for i := range m.Entries {
		e := &m.Entries[i]
		if !e.Mode.IsRegular() || seen[e.Digest] {
			continue
		}
		seen[e.Digest] = true
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := do(e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return nil
}

// contents opens files of a bundle, from where it has them.
func contents(b *revision.Bundle) (open func(revision.Entry) (io.ReadCloser, error), done func(), err error) {
	if b.Content != nil {
		return b.Content, func() {}, nil
	}
	root, err := os.OpenRoot(b.Dir)
	if err != nil {
		return nil, nil, err
	}
	return func(e revision.Entry) (io.ReadCloser, error) { return root.Open(e.Path) }, func() { _ = root.Close() }, nil
}

func packFile(open func(revision.Entry) (io.ReadCloser, error), e *revision.Entry, w io.Writer) error {
	f, err := open(*e)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(w, io.LimitReader(f, e.Size))
	if err == nil && n != e.Size {
		err = fmt.Errorf("has %d bytes, not %d; open the revision again", n, e.Size)
	}
	return err
}

// isPacked reports whether a file begins as a packed revision.
func isPacked(f io.ReaderAt) bool {
	head := make([]byte, len(packMagic))
	_, err := f.ReadAt(head, 0)
	return err == nil && string(head) == packMagic
}

// unpack opens a packed revision. Its contents go to a spool.
func unpack(ctx context.Context, f *os.File, spoolPath string) (b *revision.Bundle, done func(), err error) {
	done = func() {}
	if _, err := f.Seek(int64(len(packMagic)), io.SeekStart); err != nil {
		return nil, done, err
	}
	z, err := zstd.NewReader(bufio.NewReaderSize(f, 256<<10), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, done, err
	}
	defer z.Close()
	b, err = readHead(z)
	if err != nil {
		return nil, done, err
	}
	s, err := openSpool(spoolPath)
	if err != nil {
		return nil, done, err
	}
	buf := make([]byte, 256<<10)
	err = eachContent(ctx, b.Manifest, func(e *revision.Entry) error { return s.add(z, e.Digest, e.Size, buf) })
	if err = errors.Join(err, s.w.Flush()); err != nil {
		_ = s.f.Close()
		return nil, done, err
	}
	b.Content = func(e revision.Entry) (io.ReadCloser, error) {
		if f, ok := s.open(e.Digest); ok {
			return f, nil
		}
		return nil, os.ErrNotExist
	}
	return b, func() { _ = s.f.Close() }, nil
}

// readHead reads all but the contents.
func readHead(r io.Reader) (*revision.Bundle, error) {
	text, err := section(r)
	if err != nil {
		return nil, err
	}
	var head packHead
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", errContent, err)
	}
	b := &revision.Bundle{Kind: head.Kind, Notes: head.Notes}
	for {
		data, err := section(r)
		if err != nil || len(data) == 0 {
			return b, err
		}
		list, err := wire.ParseChunk(data)
		if err != nil {
			return nil, err
		}
		b.Manifest.Entries = append(b.Manifest.Entries, list...)
	}
}

// section reads what has its length before it.
func section(r io.Reader) ([]byte, error) {
	size, err := readSize(r)
	if err != nil {
		return nil, err
	}
	if size > maxChunkBytes {
		return nil, fmt.Errorf("a part of the manifest of %d bytes is longer than %d", size, maxChunkBytes)
	}
	var data bytes.Buffer
	if _, err := io.CopyN(&data, r, size); err != nil {
		return nil, brokenOff(err)
	}
	return data.Bytes(), nil
}
