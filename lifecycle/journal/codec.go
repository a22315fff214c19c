package journal

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// A line is: checksum (8 hex digits), one mark, JSON, line feed. The checksum is
// the CRC-32C of everything checksummed so far and of mark, JSON and line feed,
// so a line that was removed, added or moved shows in every line after it. The
// mark says whether the Append ends here; lines of one that does not end are
// dropped together. The first line is a [header] and belongs to the first Append.
const (
	markMore = '+' // the Append goes on in the next line
	markEnd  = ' ' // the Append is complete
	sumLen   = 8
	version  = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the first line of a file.
type header struct {
	Version    int    `json:"cutoverJournal"`
	Group      string `json:"group"`
	Deployment string `json:"deployment"`
}

// encoder makes the lines of one Append.
type encoder struct {
	buf bytes.Buffer
	sum uint32
}

func (e *encoder) line(v any, mark byte) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	body := append(append([]byte{mark}, text...), '\n')
	e.sum = crc32.Update(e.sum, castagnoli, body)
	fmt.Fprintf(&e.buf, "%08x", e.sum)
	e.buf.Write(body)
	return nil
}

func (e *encoder) records(records []lifecycle.Record) error {
	for i, r := range records {
		mark := byte(markMore)
		if i == len(records)-1 {
			mark = markEnd
		}
		if err := e.line(r, mark); err != nil {
			return fmt.Errorf("journal: record %d of deployment %s: %w", r.Seq, r.Step.Deployment, err)
		}
	}
	return nil
}

// tail is the end of what is good in a file: where the next Append goes.
type tail struct {
	next int64  // number of the next record
	size int64  // bytes that are good; what follows is torn
	sum  uint32 // running checksum
	torn int64  // bytes behind size that were found there
}

// errTorn ends a scan: what follows the last complete Append was never
// acknowledged and counts as not written.
var errTorn = errors.New("torn")

// scanner reads lines and checks them.
type scanner struct {
	r    *bufio.Reader
	file string
	line int   // lines read
	off  int64 // of the line being read
	end  int64 // behind it
	sum  uint32
	buf  []byte
}

// next returns the JSON of the next line, valid until the call after, and
// whether it completes an Append; io.EOF after the last one, errTorn at a tail
// that a crash left.
func (s *scanner) next() (text []byte, done bool, err error) {
	s.off = s.end
	s.line++
	line, err := s.read()
	if err != nil {
		return nil, false, err
	}
	s.end += int64(len(line))
	body, sum, ok := s.check(line)
	if !ok {
		return nil, false, s.damage(line)
	}
	s.sum = sum
	return body[1 : len(body)-1], body[0] == markEnd, nil
}

// read returns one line with its line feed, the last one perhaps without.
func (s *scanner) read() ([]byte, error) {
	s.buf = s.buf[:0]
	for {
		part, err := s.r.ReadSlice('\n')
		if err == nil && len(s.buf) == 0 {
			return part, nil
		}
		s.buf = append(s.buf, part...)
		switch {
		case err == nil:
			return s.buf, nil
		case errors.Is(err, io.EOF) && len(s.buf) > 0:
			return s.buf, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (s *scanner) check(line []byte) (body []byte, sum uint32, ok bool) {
	if len(line) < sumLen+2 || line[len(line)-1] != '\n' {
		return nil, 0, false
	}
	var want [sumLen / 2]byte
	if _, err := hex.Decode(want[:], line[:sumLen]); err != nil {
		return nil, 0, false
	}
	body = line[sumLen:]
	sum = crc32.Update(s.sum, castagnoli, body)
	same := uint32(want[0])<<24|uint32(want[1])<<16|uint32(want[2])<<8|uint32(want[3]) == sum
	return body, sum, same && (body[0] == markEnd || body[0] == markMore)
}

// damage tells a torn tail from damage. A write that a crash cut short leaves a
// last line without its end, or one with zero bytes where a block never got to
// the disk. A last line that is complete and wrong was acknowledged once:
// dropping it would forget something that was done.
func (s *scanner) damage(line []byte) error {
	if line[len(line)-1] != '\n' {
		return errTorn
	}
	if _, err := s.r.Peek(1); errors.Is(err, io.EOF) && bytes.IndexByte(line, 0) >= 0 {
		return errTorn
	}
	return s.corrupt("the checksum does not fit")
}

func (s *scanner) corrupt(why string) error {
	return &CorruptError{File: s.file, Line: s.line, Offset: s.off, Why: why}
}

// header reads and checks the first line.
func (s *scanner) header(group, id string) (header, error) {
	var h header
	text, done, err := s.next()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, errTorn):
		// A file gets its name when its first Append is on the disk.
		return h, s.corrupt("the first line is not complete")
	case err != nil:
		return h, err
	case done || json.Unmarshal(text, &h) != nil:
		return h, s.corrupt("the first line is not a journal's")
	case h.Version > version:
		return h, fmt.Errorf("%w: %s has format %d, this program knows up to %d: use a newer one", ErrTooNew, s.file, h.Version, version)
	case h.Group != group || id != "" && h.Deployment != id:
		return h, s.corrupt(fmt.Sprintf("it belongs to deployment %q of group %q", h.Deployment, h.Group))
	}
	return h, nil
}
