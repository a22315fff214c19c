package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Asker asks the controller for a part of the content and returns the compressed
// stream of it. An error means that the controller is out of reach.
type Asker interface {
	Ask(ctx context.Context, want wire.Want) (io.Reader, error)
}

// Receiver takes one revision from a controller.
type Receiver struct {
	Dir      string // for spools; made if missing
	Content  wire.Content
	Retained []Retained
	Asker    Asker
	// Sure reads what the host has before relying on it: for a second try, after the
	// first has found a retained file changed.
	Sure bool

	stock *stock
	spool *spool
}

// Receive asks for what the host lacks and returns the revision. The bundle's
// content is read from the spool and the retained revisions; close gives them back.
func (r *Receiver) Receive(ctx context.Context) (b *revision.Bundle, close func(), err error) {
	if err := makeDir(r.Dir); err != nil {
		return nil, nil, err
	}
	r.stock = newStock(r.Retained)
	r.spool, err = openSpool(filepath.Join(r.Dir, Name(r.Content.Digest)+".spool"))
	if err != nil {
		r.stock.close()
		return nil, nil, err
	}
	close = func() { r.stock.close(); _ = r.spool.f.Close() }
	m, err := r.manifest(ctx)
	if err == nil {
		err = r.files(ctx, m)
	}
	if err != nil {
		full := WithSpace(err, r.Dir, m.Size())
		if full == err && r.spool.w.Flush() == nil { // what has come whole is worth keeping
			close()
			return nil, nil, err
		}
		// The room is needed, if only to write down that there is none.
		close()
		_ = os.Remove(r.spool.f.Name())
		return nil, nil, full
	}
	return &revision.Bundle{Kind: r.Content.Kind, Manifest: m, Notes: r.Content.Notes, Content: r.open}, close, nil
}

func (r *Receiver) open(e revision.Entry) (io.ReadCloser, error) {
	if f, ok := r.spool.open(e.Digest); ok {
		return f, nil
	}
	return r.stock.open(e)
}

// manifest puts the manifest together from the chunks that the host has and those
// that it asks for.
func (r *Receiver) manifest(ctx context.Context) (revision.Manifest, error) {
	if len(r.Content.Chunks) == 0 {
		if err := r.list(ctx); err != nil {
			return revision.Manifest{}, err
		}
	}
	ids := r.Content.Chunks
	if len(ids)%wire.ChunkIDSize != 0 {
		return revision.Manifest{}, errors.New("the list of chunks is cut off")
	}
	chunks := make([][]byte, len(ids)/wire.ChunkIDSize)
	var missing []int
	for i := range chunks {
		id := wire.ChunkID(ids[i*wire.ChunkIDSize:])
		data, ok := r.stock.chunks[id]
		if chunks[i] = data; !ok {
			missing = append(missing, i)
		}
	}
	if len(missing) > 0 {
		if err := r.chunks(ctx, chunks, missing); err != nil {
			return revision.Manifest{}, err
		}
	}
	return join(chunks, r.Content.Digest)
}

// list asks for the list of chunks.
func (r *Receiver) list(ctx context.Context) error {
	return r.ask(ctx, wire.Want{List: true}, func(in io.Reader) (err error) {
		r.Content.Chunks, err = io.ReadAll(io.LimitReader(in, maxChunkBytes))
		return err
	})
}

// maxChunkBytes bounds one encoded chunk of a manifest.
const maxChunkBytes = 32 << 20

func (r *Receiver) chunks(ctx context.Context, chunks [][]byte, missing []int) error {
	return r.ask(ctx, wire.Want{Chunks: missing}, func(in io.Reader) error {
		for _, i := range missing {
			data, err := section(in)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(data)
			if !bytes.Equal(sum[:wire.ChunkIDSize], r.Content.Chunks[i*wire.ChunkIDSize:][:wire.ChunkIDSize]) {
				return errContent
			}
			chunks[i] = data
		}
		return nil
	})
}

func join(chunks [][]byte, digest string) (m revision.Manifest, err error) {
	for _, data := range chunks {
		list, err := wire.ParseChunk(data)
		if err != nil {
			return m, err
		}
		m.Entries = append(m.Entries, list...)
	}
	if have := m.Digest(); have != digest {
		return m, fmt.Errorf("the manifest that was sent has digest %s, announced was %s", have, digest)
	}
	return m, nil
}

// files asks for the content of the files that the host lacks.
func (r *Receiver) files(ctx context.Context, m revision.Manifest) error {
	missing, ranges := r.missing(ctx, m)
	if len(missing) == 0 {
		return nil
	}
	var err error
	buf := make([]byte, 256<<10)
	for some := range slices.Chunk(ranges, maxRanges) {
		n := 0
		for _, r := range some {
			n += r[1]
		}
		if err = r.askFiles(ctx, some, missing[:n], buf); err != nil {
			break
		}
		missing = missing[n:]
	}
	return errors.Join(err, r.spool.w.Flush())
}

// maxRanges is how many ranges one question has: a frame has to hold it.
const maxRanges = wire.MaxFrame / 32

func (r *Receiver) askFiles(ctx context.Context, ranges [][2]int, files []*revision.Entry, buf []byte) error {
	return r.ask(ctx, wire.Want{Files: ranges}, func(in io.Reader) error {
		for _, e := range files {
			if err := r.spool.add(in, e.Digest, e.Size, buf); err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
		}
		return nil
	})
}

// missing lists the files to ask for, each content once, and their numbers in the
// manifest as ranges.
func (r *Receiver) missing(ctx context.Context, m revision.Manifest) (list []*revision.Entry, ranges [][2]int) {
	asked := map[string]bool{}
	for i := range m.Entries {
		e := &m.Entries[i]
		if !e.Mode.IsRegular() || asked[e.Digest] {
			continue
		}
		if _, ok := r.spool.at[e.Digest]; ok || r.stock.has(ctx, e, r.Sure) {
			continue
		}
		asked[e.Digest] = true
		list = append(list, e)
		if n := len(ranges); n > 0 && ranges[n-1][0]+ranges[n-1][1] == i {
			ranges[n-1][1]++
		} else {
			ranges = append(ranges, [2]int{i, 1})
		}
	}
	return list, ranges
}

// ask asks, and reads the answer to its end.
func (r *Receiver) ask(ctx context.Context, want wire.Want, read func(io.Reader) error) error {
	in, err := r.Asker.Ask(ctx, want)
	if err != nil {
		return err
	}
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return err
	}
	defer z.Close()
	if err := read(z); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(z, 1))
	if n > 0 {
		return errors.New("there is more in the stream than was asked for")
	}
	return err
}

func readSize(r io.Reader) (int64, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, brokenOff(err)
	}
	n := int64(0)
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	if n < 0 {
		return 0, errContent
	}
	return n, nil
}
