package revision

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"slices"
	"time"
)

// A zip is read by its directory, at the end. The reader is strict where
// tools differ: an archive that two of them could unpack differently is refused.

const (
	stored   = 0
	deflated = 8

	endSize       = 22
	end64Size     = 56
	locatorSize   = 20
	recordSize    = 46
	localSize     = 30
	maxComment    = math.MaxUint16
	maxZipRecords = 512 << 20 // bytes of the directory, which is held in memory
)

// zipRecord is what the directory says of a member.
type zipRecord struct {
	name       string
	creator    byte
	method     uint16
	flags      uint16
	crc        uint32
	packed     int64
	size       int64
	attributes uint32
	header     int64 // where the member's own header is
	data       int64 // where its content begins
	modTime    time.Time
}

// zipEnd says where the directory is.
type zipEnd struct {
	at, start, size, records int64
}

func ambiguous(name, format string, args ...any) error {
	return refuse(ZipAmbiguous, name, format+"; tools would not agree on it, so pack it again", args...)
}

// readZip reads and checks the directory, and each member's own header.
func readZip(f *os.File, size int64, members int) ([]zipRecord, error) {
	end, err := findEnd(f, size)
	if err != nil {
		return nil, err
	}
	if end.records > int64(members) {
		return nil, refuse(TooLarge, "", "archive has %d members, more than %d, the limit", end.records, members)
	}
	if end.size > maxZipRecords {
		return nil, refuse(TooLarge, "", "directory of the archive has %d bytes, more than %d", end.size, maxZipRecords)
	}
	dir := make([]byte, end.size)
	if _, err := f.ReadAt(dir, end.start); err != nil {
		return nil, damaged("", err)
	}
	records := make([]zipRecord, 0, min(end.records, end.size/recordSize))
	for len(dir) > 0 {
		rec, rest, err := parseRecord(dir)
		if err != nil {
			return nil, err
		}
		dir = rest
		if err := rec.supported(); err != nil {
			return nil, err
		}
		if err := rec.locate(f, end.start); err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
	if int64(len(records)) != end.records {
		return nil, ambiguous("", "directory has %d members where its end says %d", len(records), end.records)
	}
	return records, apart(records)
}

// apart refuses members that share data, and data before the first: that is how
// small archives unpack to a lot, or to something else for other readers.
func apart(records []zipRecord) error {
	order := make([]*zipRecord, len(records))
	for i := range records {
		order[i] = &records[i]
	}
	slices.SortFunc(order, func(a, b *zipRecord) int { return int(min(max(a.header-b.header, -1), 1)) })
	for i, r := range order {
		if i == 0 && r.header != 0 {
			return ambiguous("", "%d bytes stand before the first member", r.header)
		}
		if i > 0 && r.header < order[i-1].data+order[i-1].packed {
			return refuse(ArchiveBomb, r.name, "shares its data with %q; pack it again", order[i-1].name)
		}
	}
	return nil
}

// findEnd finds the one end record that reaches to the end of the file.
func findEnd(f *os.File, size int64) (zipEnd, error) {
	tail := make([]byte, min(size, endSize+maxComment))
	base := size - int64(len(tail))
	if _, err := f.ReadAt(tail, base); err != nil && err != io.EOF {
		return zipEnd{}, damaged("", err)
	}
	var found []int
	seen := false
	for i := len(tail) - endSize; i >= 0; i-- {
		if !bytes.HasPrefix(tail[i:], []byte("PK\x05\x06")) {
			continue
		}
		seen = true
		if i+endSize+int(binary.LittleEndian.Uint16(tail[i+20:])) == len(tail) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0 && seen:
		return zipEnd{}, refuse(ArchiveCorrupt, "", "data follows the end of the archive; get it again, or pack it again")
	case len(found) == 0:
		return zipEnd{}, refuse(ArchiveTruncated, "", "archive has no directory at its end; get it again")
	case len(found) > 1:
		return zipEnd{}, ambiguous("", "archive has two ends")
	}
	end, err := parseEnd(f, tail[found[0]:], base+int64(found[0]))
	if err != nil {
		return end, err
	}
	after := tail[found[0]+4:]
	if bytes.Contains(after, []byte("PK\x05\x06")) {
		return end, ambiguous("", "comment of the archive holds another end")
	}
	return end, nil
}

func parseEnd(f *os.File, b []byte, at int64) (zipEnd, error) {
	le := binary.LittleEndian
	end := zipEnd{at: at, records: int64(le.Uint16(b[10:])), size: int64(le.Uint32(b[12:])), start: int64(le.Uint32(b[16:]))}
	if le.Uint16(b[4:]) != le.Uint16(b[6:]) || le.Uint16(b[8:]) != le.Uint16(b[10:]) || le.Uint16(b[4:]) != 0 && le.Uint16(b[4:]) != math.MaxUint16 {
		return end, refuse(ZipUnsupported, "", "archive is split over several files; pack it as one")
	}
	limit := at
	if wide, at64, err := readEnd64(f, at); err != nil {
		return end, err
	} else if wide != nil {
		if end.records != math.MaxUint16 && end.records != wide.records || end.size != math.MaxUint32 && end.size != wide.size ||
			end.start != math.MaxUint32 && end.start != wide.start {
			return end, ambiguous("", "the two forms of the archive's end differ")
		}
		end, limit = *wide, at64
	} else if end.records == math.MaxUint16 || end.size == math.MaxUint32 || end.start == math.MaxUint32 {
		return end, ambiguous("", "archive's end refers to a larger form that is missing")
	}
	if end.start < 0 || end.size < 0 || end.start > limit || end.size != limit-end.start {
		return end, ambiguous("", "directory of the archive is not where its end says")
	}
	return end, nil
}

// readEnd64 reads the end record for large archives, if there is one.
func readEnd64(f *os.File, at int64) (*zipEnd, int64, error) {
	if at < locatorSize+end64Size {
		return nil, 0, nil
	}
	loc := make([]byte, locatorSize)
	if _, err := f.ReadAt(loc, at-locatorSize); err != nil {
		return nil, 0, damaged("", err)
	}
	if !bytes.HasPrefix(loc, []byte("PK\x06\x07")) {
		return nil, 0, nil
	}
	le := binary.LittleEndian
	pos := int64(le.Uint64(loc[8:]))
	if le.Uint32(loc[4:]) != 0 || le.Uint32(loc[16:]) > 1 || pos < 0 || pos != at-locatorSize-end64Size {
		return nil, 0, ambiguous("", "large form of the archive's end is not where it should be")
	}
	b := make([]byte, end64Size)
	if _, err := f.ReadAt(b, pos); err != nil {
		return nil, 0, damaged("", err)
	}
	if !bytes.HasPrefix(b, []byte("PK\x06\x06")) || le.Uint64(b[4:]) != end64Size-12 || le.Uint64(b[24:]) != le.Uint64(b[32:]) {
		return nil, 0, ambiguous("", "large form of the archive's end is damaged")
	}
	return &zipEnd{at: at, records: int64(le.Uint64(b[32:])), size: int64(le.Uint64(b[40:])), start: int64(le.Uint64(b[48:]))}, pos, nil
}

// parseRecord reads one record of the directory.
func parseRecord(b []byte) (zipRecord, []byte, error) {
	le := binary.LittleEndian
	if len(b) < recordSize || !bytes.HasPrefix(b, []byte("PK\x01\x02")) {
		return zipRecord{}, nil, refuse(ArchiveCorrupt, "", "directory of the archive is damaged; get it again")
	}
	name, extra, comment := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	if len(b) < recordSize+name+extra+comment {
		return zipRecord{}, nil, refuse(ArchiveCorrupt, "", "directory of the archive is damaged; get it again")
	}
	r := zipRecord{
		name: string(b[recordSize : recordSize+name]), creator: b[5], flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]),
		crc: le.Uint32(b[16:]), packed: int64(le.Uint32(b[20:])), size: int64(le.Uint32(b[24:])),
		attributes: le.Uint32(b[38:]), header: int64(le.Uint32(b[42:])), modTime: dosTime(le.Uint16(b[14:]), le.Uint16(b[12:])),
	}
	return r, b[recordSize+name+extra+comment:], r.extras(b[recordSize+name : recordSize+name+extra])
}

// extras reads the additional fields: large sizes, exact times, another name.
func (r *zipRecord) extras(b []byte) error {
	le := binary.LittleEndian
	wide := false
	for len(b) >= 4 {
		id, n := le.Uint16(b), int(le.Uint16(b[2:]))
		if len(b) < 4+n {
			return ambiguous(r.name, "an additional field is cut off")
		}
		field := b[4 : 4+n]
		b = b[4+n:]
		switch id {
		case 0x0001:
			if wide {
				return ambiguous(r.name, "large sizes are given twice")
			}
			wide = true
			for _, v := range []*int64{&r.size, &r.packed, &r.header} {
				if *v != math.MaxUint32 {
					continue
				}
				if len(field) < 8 {
					return ambiguous(r.name, "large sizes are missing")
				}
				*v, field = int64(le.Uint64(field)), field[8:]
			}
		case 0x5455: // seconds since 1970, as Unix archivers write them
			if len(field) >= 5 && field[0]&1 != 0 {
				r.modTime = time.Unix(int64(int32(le.Uint32(field[1:]))), 0)
			}
		case 0x7075: // the name once more
			if len(field) > 5 && string(field[5:]) != r.name {
				return ambiguous(r.name, "has a second name, %q", field[5:])
			}
		}
	}
	if r.size < 0 || r.packed < 0 || r.header < 0 || !wide && (r.size == math.MaxUint32 || r.packed == math.MaxUint32 || r.header == math.MaxUint32) {
		return ambiguous(r.name, "large sizes are missing")
	}
	return nil
}

func (r *zipRecord) supported() error {
	const encrypted, strong, patch, masked = 1 << 0, 1 << 6, 1 << 5, 1 << 13
	switch {
	case r.flags&(encrypted|strong|masked) != 0:
		return refuse(ZipUnsupported, r.name, "is encrypted; pack it without a password")
	case r.flags&patch != 0 || r.method != stored && r.method != deflated:
		return refuse(ZipUnsupported, r.name, "is compressed by method %d; pack it with deflate", r.method)
	case r.method == stored && r.size != r.packed:
		return refuse(ArchiveCorrupt, r.name, "is not compressed and has two sizes, %d and %d", r.packed, r.size)
	}
	return nil
}

// locate reads the member's own header, which must not say anything else than
// the directory.
func (r *zipRecord) locate(f *os.File, limit int64) error {
	le := binary.LittleEndian
	b := make([]byte, localSize+len(r.name))
	if r.header > limit-int64(len(b)) {
		return ambiguous(r.name, "its header is not where the directory says")
	}
	if _, err := f.ReadAt(b, r.header); err != nil {
		return damaged(r.name, err)
	}
	const later, utf8Name = 1 << 3, 1 << 11 // sizes follow the content
	flags := le.Uint16(b[6:])
	if !bytes.HasPrefix(b, []byte("PK\x03\x04")) {
		return ambiguous(r.name, "its header is not where the directory says")
	}
	if int(le.Uint16(b[26:])) != len(r.name) || string(b[localSize:]) != r.name {
		return ambiguous(r.name, "its header has another name than the directory")
	}
	if le.Uint16(b[8:]) != r.method || flags&^utf8Name != r.flags&^utf8Name {
		return ambiguous(r.name, "its header has another method than the directory")
	}
	if packed, size := le.Uint32(b[18:]), le.Uint32(b[22:]); flags&later == 0 && (differs(packed, r.packed) || differs(size, r.size) || le.Uint32(b[14:]) != r.crc) {
		return ambiguous(r.name, "its header has other sizes than the directory")
	}
	r.data = r.header + int64(len(b)) + int64(le.Uint16(b[28:]))
	if r.packed > limit || r.data > limit-r.packed {
		return ambiguous(r.name, "its content overlaps the directory")
	}
	return nil
}

func differs(header uint32, directory int64) bool {
	return header != math.MaxUint32 && int64(header) != directory
}

// dosTime is the old form of times. It has no zone: UTC is taken.
func dosTime(date, clock uint16) time.Time {
	if date == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}
