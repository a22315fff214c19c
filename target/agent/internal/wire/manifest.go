package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"
	"time"

	"github.com/cutover-deploy/cutover/revision"
)

// A manifest is cut into chunks of some entries, at places that depend on the names
// near them. Two manifests that differ in a few entries then have most chunks in
// common, and a host that has one needs only a few of the other.

// ChunkIDSize is the length of a chunk's id, the begin of its SHA-256. The digest
// of the whole manifest is compared in the end.
const ChunkIDSize = 16

// ChunkID names a chunk by its content.
type ChunkID [ChunkIDSize]byte

// Chunk is a run of entries of a manifest in their encoded form.
type Chunk struct {
	ID   ChunkID
	Data []byte
}

// fewest is how many entries a chunk has on average, in a manifest of ordinary
// length. Small chunks mean a longer list of ids; large ones, more that is sent
// for one change.
const fewest = 8

// maxChunk bounds the entries of a chunk.
const maxChunk = 4096

// Chunks cuts a manifest. A longer one is cut into longer chunks, so that the
// list of their ids stays in proportion.
func Chunks(m revision.Manifest) []Chunk {
	mean := uint32(fewest)
	for len(m.Entries)/int(mean) > 2048 {
		mean *= 2
	}
	var chunks []Chunk
	var b []byte
	for i, n := 0, 0; i < len(m.Entries); i++ {
		b = appendEntry(b, &m.Entries[i])
		n++
		if n == maxChunk || i == len(m.Entries)-1 || nameHash(m.Entries[i].Path)%mean == 0 {
			sum := sha256.Sum256(b)
			chunks = append(chunks, Chunk{ID: ChunkID(sum[:ChunkIDSize]), Data: b})
			b, n = nil, 0
		}
	}
	return chunks
}

func nameHash(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name)) // never fails
	sum := h.Sum32()
	return sum ^ sum>>15 // the low bits of FNV hang on the last bytes only
}

// appendEntry encodes an entry: mode, size, time, digest, path, link.
func appendEntry(b []byte, e *revision.Entry) []byte {
	b = binary.AppendUvarint(b, uint64(e.Mode))
	b = binary.AppendUvarint(b, uint64(e.Size))
	var nano int64
	if !e.ModTime.IsZero() {
		nano = e.ModTime.UnixNano()
	}
	b = binary.AppendVarint(b, nano)
	sum, err := hex.DecodeString(e.Digest)
	if err != nil {
		sum = nil // no digest: the digest of the manifest will tell
	}
	b = appendBytes(b, string(sum))
	b = appendBytes(b, e.Path)
	return appendBytes(b, e.Link)
}

func appendBytes(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ParseChunk decodes the entries of a chunk.
func ParseChunk(data []byte) ([]revision.Entry, error) {
	var list []revision.Entry
	d := decoder{rest: data}
	for len(d.rest) > 0 {
		e := d.entry()
		if d.err != nil {
			return nil, d.err
		}
		if list = append(list, e); len(list) > maxChunk {
			return nil, fmt.Errorf("a chunk has more than %d entries", maxChunk)
		}
	}
	return list, nil
}

// decoder reads encoded values; after the first error it reads nothing.
type decoder struct {
	rest []byte
	err  error
}

var errCut = errors.New("a chunk of the manifest is cut off or damaged")

func (d *decoder) entry() revision.Entry {
	mode, size, nano := d.uint(math.MaxUint32), d.uint(math.MaxInt64), d.int()
	e := revision.Entry{Mode: fs.FileMode(mode), Size: int64(size)}
	if nano != 0 {
		e.ModTime = time.Unix(0, nano).UTC()
	}
	e.Digest = hex.EncodeToString([]byte(d.text()))
	e.Path, e.Link = d.text(), d.text()
	return e
}

func (d *decoder) uint(most uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.err != nil || n <= 0 || v > most {
		d.err, d.rest = errCut, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.rest)
	if d.err != nil || n <= 0 {
		d.err, d.rest = errCut, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uint(math.MaxInt32)
	if d.err != nil || uint64(len(d.rest)) < n {
		d.err, d.rest = errCut, nil
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
