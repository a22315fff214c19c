package dynamodb

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// partSize is how many bytes of records an item holds. An item may have 400 KB with
// everything in it.
const partSize = 350_000

// shorter is from how many bytes on records are compressed.
const shorter = 1 << 10

// format is the version of what is written.
const format = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode makes the records of an Append lines of JSON, compressed where that helps.
func encode(records []lifecycle.Record) (data []byte, zipped bool, err error) {
	var lines bytes.Buffer
	for _, r := range records {
		text, err := json.Marshal(r)
		if err != nil {
			return nil, false, fmt.Errorf("record %d of deployment %s: %w", r.Seq, r.Step.Deployment, err)
		}
		lines.Write(text)
		lines.WriteByte('\n')
	}
	if lines.Len() < shorter {
		return lines.Bytes(), false, nil
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(lines.Bytes()) // a buffer takes everything
	_ = z.Close()
	if packed.Len() >= lines.Len() {
		return lines.Bytes(), false, nil
	}
	return packed.Bytes(), true, nil
}

// decode is the inverse of encode. It checks that the records are those of a
// deployment, and go from first to last.
func decode(data []byte, zipped bool, id string, first, last int64) ([]lifecycle.Record, error) {
	if zipped {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(z)
		}
		if err != nil {
			return nil, err
		}
	}
	var records []lifecycle.Record
	for line := range bytes.Lines(data) {
		var r lifecycle.Record
		want := first + int64(len(records))
		switch err := json.Unmarshal(line, &r); {
		case err != nil:
			return nil, fmt.Errorf("not a record: %w", err)
		case r.Seq != want:
			return nil, fmt.Errorf("it has record %d where %d should be", r.Seq, want)
		case r.Step.Deployment != id:
			return nil, fmt.Errorf("it has a record of deployment %q", r.Step.Deployment)
		}
		records = append(records, r)
	}
	if got := first + int64(len(records)) - 1; got != last {
		return nil, fmt.Errorf("it ends with record %d, not %d", got, last)
	}
	return records, nil
}

// chain is the checksum of everything up to and with data.
func chain(before uint32, data []byte) uint32 { return crc32.Update(before, castagnoli, data) }

// split cuts data into parts of at most size bytes; there is at least one.
func split(data []byte, size int) (parts [][]byte) {
	for len(data) > size {
		parts = append(parts, data[:size])
		data = data[size:]
	}
	return append(parts, data)
}
