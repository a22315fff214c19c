package revision

import (
	"bytes"
	"strconv"
	"strings"
)

// format is a kind of archive, in words.
type format string

const (
	formatZip  format = "zip"
	formatTar  format = "tar"
	formatGzip format = "tar.gz"
)

// block is the size of a tar header, and as much as is needed to know a file.
const block = 512

// foreign are archives that are not supported, by how they begin.
var foreign = []struct{ magic, name string }{
	{"BZh", "bzip2"},
	{"\xfd7zXZ\x00", "xz"},
	{"\x28\xb5\x2f\xfd", "zstandard"},
	{"7z\xbc\xaf\x27\x1c", "7-zip"},
	{"Rar!\x1a\x07", "rar"},
	{"\x04\x22\x4d\x18", "lz4"},
	{"\x1f\x9d", "compress"},
}

// documents are what ends up in place of an archive when a download fails.
var documents = []struct{ start, name string }{
	{"<!doctype html", "a web page"}, {"<html", "a web page"}, {"<?xml", "an XML text"},
	{"{", "a JSON text"}, {"[", "a JSON text"}, {"\x7felf", "a program"}, {"#!", "a script"},
}

// detect tells the format of a file from its first bytes.
func detect(head []byte, name string) (format, *Error) {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return formatZip, nil
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return formatGzip, nil
	case isTar(head):
		return formatTar, nil
	}
	for _, x := range foreign {
		if bytes.HasPrefix(head, []byte(x.magic)) {
			return "", refuse(ArchiveKind, "", "%sholds %s data, which is not supported; pack it as zip, tar or tar.gz", named(name), x.name)
		}
	}
	return "", refuse(NotAnArchive, "", "%sis %s, not a zip, tar or tar.gz archive; check how it was made or downloaded", named(name), looksLike(head))
}

// named says what the name of the file promises.
func named(name string) string {
	if f := nameFormat(name); f != "" {
		return "is named as " + string(f) + " and "
	}
	return ""
}

func nameFormat(name string) format {
	name = strings.ToLower(name)
	for _, x := range [...]struct {
		end string
		f   format
	}{{".zip", formatZip}, {".jar", formatZip}, {".war", formatZip}, {".tar", formatTar}, {".tar.gz", formatGzip}, {".tgz", formatGzip}} {
		if strings.HasSuffix(name, x.end) {
			return x.f
		}
	}
	return ""
}

func looksLike(head []byte) string {
	if len(head) == 0 {
		return "an empty file"
	}
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"))
	for _, x := range documents {
		if bytes.HasPrefix(text, []byte(x.start)) {
			return x.name
		}
	}
	if bytes.IndexFunc(head, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }) < 0 {
		return "a text"
	}
	return "something unknown"
}

// isTar recognises a tar header by its checksum, or the end marker of an empty
// archive.
func isTar(head []byte) bool {
	if len(head) < block {
		return false
	}
	head = head[:block]
	if allZero(head) {
		return true
	}
	want, err := strconv.ParseInt(strings.Trim(string(head[148:156]), " \x00"), 8, 32)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, c := range head {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
