package revision

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestArchivesOfEachKindGiveTheSameRevision(t *testing.T) {
	big := strings.Repeat("0123456789", 50_000)
	plain := tarBytes(t, file("appspec.yml", "a"), folderAt("app/"), file("app/run.sh", "#!/bin/sh\n"), file("big", big), file("empty", ""))
	archives := map[string]string{
		"tar": save(t, "x.tar", plain), "gzip": save(t, "x.tgz", gz(t, plain)),
		"zip": makeZip(t, zipItem{name: "appspec.yml", content: "a"}, zipItem{name: "app/", mode: fs.ModeDir | 0o755},
			zipItem{name: "app/run.sh", content: "#!/bin/sh\n"}, zipItem{name: "big", content: big}, zipItem{name: "empty", change: func(h *zip.FileHeader) { h.Method = zip.Store }}),
	}
	digests := map[string]bool{}
	for kind, p := range archives {
		b := open(t, Archive(p))
		require.Empty(t, b.Notes, kind)
		require.Equal(t, KindArchive, b.Kind)
		require.True(t, packTime.Equal(b.Manifest.Find("app/run.sh").ModTime), kind)
		require.NoError(t, b.Manifest.Verify(t.Context(), b.Dir))
		digests[b.Manifest.Digest()] = true
		dst := filepath.Join(t.TempDir(), "d")
		require.NoError(t, b.Copy(t.Context(), dst, CopyOptions{}))
		fi, err := os.Stat(filepath.Join(dst, "app/run.sh"))
		require.NoError(t, err)
		require.True(t, packTime.Equal(fi.ModTime()), kind)
	}
	require.Len(t, digests, 1)
}

func TestLeadingFolderIsDroppedWhenItHoldsAnAppSpecLikeName(t *testing.T) {
	b := open(t, Archive(makeTar(t, folderAt("shop-1/"), file("shop-1/Old-AppSpec-notes.txt", "1"), file("shop-1/d/f", "2"))))
	require.Equal(t, []string{"Old-AppSpec-notes.txt", "d", "d/f"}, paths(b.Manifest))
	require.Equal(t, "shop-1", filepath.Base(b.Dir))
	require.Len(t, b.Notes, 1)
	require.NoError(t, b.Copy(t.Context(), filepath.Join(t.TempDir(), "d"), CopyOptions{}))

	for name, items := range map[string][]tarItem{
		"no such name":  {file("x/a", "1")},
		"only deeper":   {file("x/y/appspec.yml", "1")},
		"two at top":    {file("x/appspec.yml", "1"), file("y", "2")},
		"file at top":   {file("appspec.yml", "1")},
		"nothing in it": {folderAt("appspec/")},
	} {
		b := open(t, Archive(makeTar(t, items...)))
		require.Equal(t, "work", filepath.Base(b.Dir), name)
	}
	// What stays inside the archive may still leave the revision.
	refused(t, LinkEscapes, makeTar(t, file("x/appspec.yml", "1"), link("x/l", "../y")))
}

func TestZ1_NotAnArchive(t *testing.T) {
	for content, want := range map[string]string{
		"": "an empty file", "<!DOCTYPE html><html>": "a web page", "\n <html>": "a web page", `{"message":"Not Found"}`: "a JSON text",
		"<?xml version='1.0'?><Error/>": "an XML text", "plain words": "a text", "\x00\x01\x02": "something unknown",
	} {
		e := refused(t, NotAnArchive, save(t, "b.zip", []byte(content)))
		require.Contains(t, e.Error(), want)
		require.Contains(t, e.Error(), "named as zip")
	}
	e := refused(t, NotAnArchive, save(t, "b.tgz", gz(t, []byte("<html>"))))
	require.Contains(t, e.Error(), "a web page")
}

func TestZ2_TruncatedAndDamaged(t *testing.T) {
	plain := tarBytes(t, file("a", strings.Repeat("x", 2000)), file("b", "2"))
	packed := gz(t, plain)
	for name, x := range map[string]struct {
		code    Code
		content []byte
	}{
		"tar in a file":         {ArchiveTruncated, plain[:1000]},
		"tar between members":   {ArchiveTruncated, plain[:512+2048]},
		"tar in a header":       {ArchiveTruncated, plain[:512+2048+100]},
		"tar header checksum":   {ArchiveCorrupt, flip(plain, 512+2048+1)},
		"tar trailing":          {ArchiveCorrupt, append(bytes.Clone(plain), "trailing"...)},
		"gzip cut":              {ArchiveTruncated, packed[:len(packed)-5]},
		"gzip checksum":         {ArchiveCorrupt, flip(packed, len(packed)-7)},
		"gzip size":             {ArchiveCorrupt, flip(packed, len(packed)-2)},
		"gzip trailing":         {ArchiveCorrupt, append(bytes.Clone(packed), "trailing"...)},
		"gzip without its tail": {ArchiveTruncated, packed[:len(packed)-8]},
	} {
		t.Run(name, func(t *testing.T) { refused(t, x.code, save(t, "a.tar", x.content)) })
	}
	open(t, Archive(save(t, "a.tgz", append(packed, make([]byte, 1000)...)))) // padding of tapes

	z := zipBytes(t, zipItem{name: "a", content: strings.Repeat("abc", 100), change: func(h *zip.FileHeader) { h.Method = zip.Store }})
	for name, x := range map[string]struct {
		code    Code
		content []byte
	}{
		"no end":   {ArchiveTruncated, z[:len(z)-10]},
		"half":     {ArchiveTruncated, z[:len(z)/2]},
		"trailing": {ArchiveCorrupt, append(bytes.Clone(z), "trailing"...)},
		"content":  {ArchiveCorrupt, flip(z, 60)},
	} {
		t.Run("zip "+name, func(t *testing.T) { refused(t, x.code, save(t, "a.zip", x.content)) })
	}
	require.Equal(t, "a", refused(t, ArchiveCorrupt, save(t, "a.zip", flip(z, 60))).Member)
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x55
	return b
}

// badName must be refused in both formats.
func badName(t *testing.T, want Code, names ...string) {
	t.Helper()
	for _, n := range names {
		t.Run(fmt.Sprintf("%.40q", n), func(t *testing.T) {
			refused(t, want, makeZip(t, zipItem{name: n, content: "evil"}))
			refused(t, want, save(t, "a.tar", rawTar(n)))
		})
	}
}

// rawTar is an archive with one file of any name, which writers would refuse.
func rawTar(name string) []byte {
	var out []byte
	if len(name) > 100 {
		out = append(out, rawHeader("././@LongLink", 'L', int64(len(name)+1))...)
		out = append(out, pad(name+"\x00")...)
		name = name[:100]
	}
	out = append(out, rawHeader(name, '0', 4)...)
	out = append(out, pad("evil")...)
	return append(out, make([]byte, 1024)...)
}

func pad(s string) []byte { return append([]byte(s), make([]byte, (512-len(s)%512)%512)...) }

func rawHeader(name string, kind byte, size int64) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00", size))
	copy(h[136:], fmt.Sprintf("%011o\x00", 1700000000))
	h[156] = kind
	copy(h[257:], "ustar  \x00")
	seal(h)
	return h
}

func seal(h []byte) {
	copy(h[148:], "        ")
	sum := 0
	for _, c := range h[:512] {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
}

func TestZ3_AbsoluteName(t *testing.T) {
	badName(t, MemberPath, "/etc/evil", "//host/share/evil", `C:\evil`, "c:/evil", `\\host\share\evil`, `\evil`)
}

func TestZ4_ParentInName(t *testing.T) {
	badName(t, MemberPath, "../evil", "a/../../evil", "a/../evil", "a/..", "..", `..\evil`, `a\..\..\evil`, `a/..\evil`)
}

func TestZ5_LinkOutThenFileThroughIt(t *testing.T) {
	outside := t.TempDir()
	for _, text := range []string{outside, "../../..", "/etc", "a/../../x", `..\x`, "C:/x"} {
		refused(t, LinkEscapes, makeTar(t, link("l", text), file("l/evil", "evil")))
		refused(t, LinkEscapes, makeZip(t, zipItem{name: "l", content: text, mode: fs.ModeSymlink | 0o777}, zipItem{name: "l/evil", content: "evil"}))
	}
	found, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, found)
	e := refused(t, LinkEscapes, makeTar(t, folderAt("d"), link("l", "d"), file("l/f", "1")))
	require.Equal(t, "l/f", e.Member)
}

func TestZ6_LinkInside(t *testing.T) {
	items := map[string]string{"app/l": "f", "app/up": "../top", "dangling": "nowhere", "self": ".", "loop": "loop", "app/d/deep": "../../app/./f"}
	var tars []tarItem
	var zips []zipItem
	for name, text := range items {
		tars = append(tars, link(name, text))
		zips = append(zips, zipItem{name: name, content: text, mode: fs.ModeSymlink | 0o777})
	}
	tars = append(tars, file("app/f", "1"), file("top", "2"))
	zips = append(zips, zipItem{name: "app/f", content: "1"}, zipItem{name: "top", content: "2"})
	for _, p := range []string{makeTar(t, tars...), makeZip(t, zips...)} {
		b := open(t, Archive(p))
		for name, text := range items {
			require.Equal(t, text, b.Manifest.Find(name).Link)
			got, err := os.Readlink(filepath.Join(b.Dir, name))
			require.NoError(t, err)
			require.Equal(t, text, got)
		}
		dst := filepath.Join(t.TempDir(), "d")
		require.NoError(t, b.Copy(t.Context(), dst, CopyOptions{}))
		require.NoError(t, b.Manifest.Verify(t.Context(), dst))
	}
}

func TestZ7_ChainOfLinksEscapesTogether(t *testing.T) {
	chain := []tarItem{folderAt("a/b/c"), link("one", "a/b/c"), link("two", "one/../../.."), link("three", "two/..")}
	require.Equal(t, "three", refused(t, LinkEscapes, makeTar(t, chain...)).Member)
	back := []tarItem{chain[3], chain[2], chain[1], chain[0]}
	refused(t, LinkEscapes, makeTar(t, back...))
	open(t, Archive(makeTar(t, chain[:3]...))) // ends at the root itself: inside
	refused(t, LinkEscapes, makeTar(t, link("d", "."), link("e", "d/d/d/..")))
	refused(t, LinkEscapes, makeTar(t, link("x/d", ".."), link("e", "x/d/x/d/../y")))
}

func TestZ8_HardLinks(t *testing.T) {
	outside := save(t, "secret", []byte("s"))
	for name, items := range map[string][]tarItem{
		"absolute":   {hardlink("h", outside)},
		"parent":     {hardlink("h", "../secret")},
		"to a link":  {file("f", "1"), link("l", "f"), hardlink("h", "l")},
		"to a dir":   {folderAt("d"), hardlink("h", "d")},
		"forward":    {hardlink("h", "f"), file("f", "1")},
		"itself":     {hardlink("h", "h")},
		"via a link": {file("d/f", "1"), link("l", "d"), hardlink("h", "l/f")},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, "h", refused(t, LinkEscapes, makeTar(t, items...)).Member) })
	}
	b := open(t, Archive(makeTar(t, file("app/a", "a\n"), hardlink("app/b", "app/a"), hardlink("c", "app/b"))))
	require.Equal(t, b.Manifest.Find("app/a").Digest, b.Manifest.Find("c").Digest)
	require.NoError(t, b.Copy(t.Context(), filepath.Join(t.TempDir(), "d"), CopyOptions{}))
}

func TestZ9_SpecialMembers(t *testing.T) {
	for _, kind := range []byte{tar.TypeChar, tar.TypeBlock, tar.TypeFifo, 'V', 'M'} {
		refused(t, MemberType, save(t, "a.tar", append(rawHeader("p", kind, 0), make([]byte, 1024)...)))
	}
	for _, mode := range []fs.FileMode{fs.ModeNamedPipe, fs.ModeSocket, fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice} {
		refused(t, MemberType, makeZip(t, zipItem{name: "p", mode: mode | 0o644}))
	}
}

func TestZ10_DangerousModes(t *testing.T) {
	s, w := file("s", "1"), file("w", "2")
	s.Mode, w.Mode = 0o6755, 0o666
	d := folderAt("d")
	d.Mode = 0o3777
	for _, p := range []string{
		makeTar(t, s, w, d),
		makeZip(t, zipItem{name: "s", content: "1", mode: 0o755 | fs.ModeSetuid | fs.ModeSetgid}, zipItem{name: "w", content: "2", mode: 0o666}, zipItem{name: "d/", mode: fs.ModeDir | fs.ModeSetgid | 0o777}),
	} {
		b := open(t, Archive(p))
		require.Equal(t, fs.FileMode(0o755), b.Manifest.Find("s").Mode)
		require.Equal(t, fs.FileMode(0o664), b.Manifest.Find("w").Mode)
		require.Equal(t, fs.ModeDir|0o775, b.Manifest.Find("d").Mode)
		require.Contains(t, strings.Join(b.Notes, "\n"), "set-id bits of 2 members")
		require.Contains(t, strings.Join(b.Notes, "\n"), "everybody is dropped from 2 members")
		dst := filepath.Join(t.TempDir(), "d")
		require.NoError(t, b.Copy(t.Context(), dst, CopyOptions{}))
		fi, err := os.Stat(filepath.Join(dst, "s"))
		require.NoError(t, err)
		require.Zero(t, fi.Mode()&fs.ModeSetuid)
	}
}

func TestZ12_Duplicates(t *testing.T) {
	for name, items := range map[string][]tarItem{
		"same file":          {file("a", "1"), file("a", "1")},
		"spelt otherwise":    {file("d/a", "1"), file("./d//a", "2")},
		"file, then folder":  {file("a", "1"), folderAt("a")},
		"folder, then file":  {folderAt("a"), file("a", "1")},
		"file, then below":   {file("a", "1"), file("a/b", "2")},
		"below, then file":   {file("a/b", "2"), file("a", "1")},
		"file, then link":    {file("a", "1"), link("a", "b")},
		"file and hard link": {file("a", "1"), file("b", "1"), hardlink("b", "a")},
	} {
		t.Run(name, func(t *testing.T) { refused(t, DuplicateMember, makeTar(t, items...)) })
	}
	refused(t, DuplicateMember, makeZip(t, zipItem{name: "a", content: "1"}, zipItem{name: "a", content: "2"}))
	two := makeTar(t, file("a", "1"), file("A", "2"))
	if foldsCase {
		refused(t, DuplicateMember, two)
	} else {
		require.Contains(t, open(t, Archive(two)).Notes[0], "1 names differ from others only in case")
	}
	b := open(t, Archive(makeTar(t, folderAt("d"), file("d/f", "1"), folderAt("d/"))))
	require.Contains(t, b.Notes[0], "1 folders are in the archive more than once")
}

func TestZ13_BadNames(t *testing.T) {
	badName(t, MemberName, "a\nb", "a\tb", "a\x7fb", "a\xff", "a\u202eb", "a\u2066b", strings.Repeat("x", 256), strings.Repeat("x/", 2100)+"y", ".", "./.")
	refused(t, MemberName, makeZip(t, zipItem{name: "a\x00b"}))
	refused(t, MemberName, makeZip(t, zipItem{name: "", change: func(h *zip.FileHeader) {}}))
	b := open(t, Archive(makeTar(t, folderAt("./"), file("./a b", "1"), file("./č/日本", "2"), file(strings.Repeat("x", 255), "3"))))
	require.Len(t, b.Manifest.Entries, 4)
	refused(t, MemberName, makeTar(t, link("l", "a\nb")))
}

func TestZ14_Bombs(t *testing.T) {
	lim := Limits{Ratio: 20, RatioFrom: 100 << 10}
	zeros := strings.Repeat("\x00", 200<<10)
	z := makeZip(t, zipItem{name: "z", content: zeros})
	refusedWith(t, ArchiveBomb, ArchiveFile{Path: z, Limits: lim})
	refusedWith(t, ArchiveBomb, ArchiveFile{Path: save(t, "a.tgz", gz(t, tarBytes(t, file("z", zeros)))), Limits: lim})
	open(t, Archive(z)) // far below 100 MiB
	// Hard links multiply what is written without taking room in the archive.
	items := []tarItem{file("f", strings.Repeat("x", 60<<10))}
	for i := range 30 {
		items = append(items, hardlink(fmt.Sprint("h", i), "f"))
	}
	refusedWith(t, ArchiveBomb, ArchiveFile{Path: makeTar(t, items...), Limits: Limits{Ratio: 5, RatioFrom: 100 << 10}})

	// Two records of the directory, one content.
	b := zipBytes(t, zipItem{name: "a", content: "1"}, zipItem{name: "b", content: "1"})
	second := bytes.LastIndex(b, []byte("PK\x01\x02"))
	shared := bytes.Clone(b)
	copy(shared[second+42:], []byte{0, 0, 0, 0})
	shared[second+46] = 'a'
	refused(t, ArchiveBomb, save(t, "a.zip", shared))
}

func TestZ15_DeclaredSize(t *testing.T) {
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		for _, by := range []int{-1, 1} {
			b := zipBytes(t, zipItem{name: "a", content: "0123456789", change: func(h *zip.FileHeader) { h.Method = method }})
			at := bytes.LastIndex(b, []byte("PK\x01\x02"))
			binary.LittleEndian.PutUint32(b[at+24:], uint32(10+by))
			refused(t, ArchiveCorrupt, save(t, "a.zip", b))
		}
	}
}

func TestZ16_TooMuch(t *testing.T) {
	ten := tarBytes(t, file("a", "12345"), file("b", "12345"))
	for _, p := range []string{save(t, "a.tar", ten), save(t, "a.tgz", gz(t, ten)), makeZip(t, zipItem{name: "a", content: "12345"}, zipItem{name: "b", content: "12345"})} {
		refusedWith(t, TooLarge, ArchiveFile{Path: p, Limits: Limits{Bytes: 9, RatioFrom: 1 << 30}})
		refusedWith(t, TooLarge, ArchiveFile{Path: p, Limits: Limits{Members: 1}})
	}
	// A header alone is enough: nothing of that size is written or read.
	refusedWith(t, TooLarge, ArchiveFile{Path: save(t, "a.tar", rawHeader("huge", '0', 8<<30-1)), Limits: Limits{Bytes: 1 << 30}})
}

func TestZ17_Sparse(t *testing.T) {
	refused(t, SparseNotAllowed, save(t, "a.tar", append(rawHeader("s", 'S', 0), make([]byte, 1024)...)))
	body := pax("GNU.sparse.major", "0") + pax("GNU.sparse.minor", "1") + pax("GNU.sparse.size", "8000000000") + pax("GNU.sparse.numblocks", "1") + pax("GNU.sparse.map", "0,4")
	raw := append(rawHeader("PaxHeader", 'x', int64(len(body))), pad(body)...)
	raw = append(raw, rawTar("s")...)
	refused(t, SparseNotAllowed, save(t, "a.tar", raw))
}

func pax(k, v string) string {
	n := len(k) + len(v) + 3
	for n != len(fmt.Sprintf("%d %s=%s\n", n, k, v)) {
		n = len(fmt.Sprintf("%d %s=%s\n", n, k, v))
	}
	return fmt.Sprintf("%d %s=%s\n", n, k, v)
}

func TestZ18_ExtendedHeaders(t *testing.T) {
	body := pax("comment", strings.Repeat("x", 1<<20))
	raw := append(rawHeader("PaxHeader", 'x', int64(len(body))), pad(body)...)
	refused(t, HeaderTooLarge, save(t, "a.tar", append(raw, rawTar("f")...)))

	global := tarItem{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "evil"}}}
	refused(t, MemberPath, makeTar(t, global, file("f", "1")))
	global.PAXRecords = map[string]string{"comment": "commit id"}
	require.Equal(t, []string{"f"}, paths(open(t, Archive(makeTar(t, global, file("f", "1")))).Manifest))

	f := file("f", "1")
	f.PAXRecords = map[string]string{"SCHILY.xattr.user.x": "1"}
	require.Contains(t, open(t, Archive(makeTar(t, f))).Notes[0], "extended attributes of 1 members")
}

func TestZ19_OddZips(t *testing.T) {
	b := zipBytes(t, zipItem{name: "a", content: "1"})
	dir := bytes.LastIndex(b, []byte("PK\x01\x02"))
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	change := func(at int, with ...byte) []byte {
		c := bytes.Clone(b)
		copy(c[at:], with)
		return c
	}
	two := append(bytes.Clone(b), b[end:]...)
	comment := bytes.Clone(b)
	comment = append(comment, b[end:]...)
	binary.LittleEndian.PutUint16(comment[end+20:], endSize)
	cut := append(bytes.Clone(b), "PK\x05\x06"...)
	binary.LittleEndian.PutUint16(cut[end+20:], 4)
	for name, x := range map[string]struct {
		code    Code
		content []byte
	}{
		"encrypted":              {ZipUnsupported, change(dir+8, b[dir+8]|1)},
		"method":                 {ZipUnsupported, change(dir+10, 12, 0)},
		"split":                  {ZipUnsupported, change(end+4, 1, 0)},
		"two ends":               {ZipAmbiguous, two},
		"end in the comment":     {ZipAmbiguous, comment},
		"half end in a comment":  {ZipAmbiguous, cut},
		"prefix":                 {ZipAmbiguous, append([]byte("MZ prefix"), b...)},
		"number of members":      {ZipAmbiguous, change(end+8, 2, 0, 2, 0)},
		"start of the directory": {ZipAmbiguous, change(end+16, b[end+16]+1)},
		"large form missing":     {ZipAmbiguous, change(end+16, 0xff, 0xff, 0xff, 0xff)},
		"large size missing":     {ZipAmbiguous, change(dir+24, 0xff, 0xff, 0xff, 0xff)},
		"other name in header":   {ZipAmbiguous, change(30, 'b')},
		"other method in header": {ZipAmbiguous, change(8, 0, 0)},
		"header elsewhere":       {ZipAmbiguous, change(dir+42, 3)},
		"directory":              {ArchiveCorrupt, change(dir, 'X')},
	} {
		t.Run(name, func(t *testing.T) {
			p := save(t, "a.zip", x.content)
			if name == "prefix" { // recognised by its own beginning first
				refused(t, NotAnArchive, p)
				x.content = append([]byte("PK\x03\x04 prefix"), b...)
				p = save(t, "a.zip", x.content)
			}
			refused(t, x.code, p)
		})
	}
	second := zipItem{name: "a", content: "1", change: func(h *zip.FileHeader) { h.Extra = append([]byte{0x75, 0x70, 6, 0, 1, 0, 0, 0, 0}, 'b') }}
	refused(t, ZipAmbiguous, makeZip(t, second))
}

func TestZ20_Backslashes(t *testing.T) {
	badName(t, MemberName, `app\f`, `app\`)
}

func TestZ21_KindAndName(t *testing.T) {
	plain := tarBytes(t, file("f", "1"))
	b := open(t, Archive(save(t, "a.zip", plain)))
	require.Equal(t, []string{"the file is named as zip and is tar"}, b.Notes)
	require.Empty(t, open(t, Archive(save(t, "noname", gz(t, plain)))).Notes)
	for magic, want := range map[string]string{"\xfd7zXZ\x00": "xz", "\x28\xb5\x2f\xfd": "zstandard", "BZh91AY": "bzip2", "7z\xbc\xaf\x27\x1c": "7-zip"} {
		e := refused(t, ArchiveKind, save(t, "a.tar.gz", []byte(magic+"rest")))
		require.Contains(t, e.Error(), "named as tar.gz")
		require.Contains(t, e.Error(), want)
	}
}

func TestZ22_ManySmallParts(t *testing.T) {
	plain := tarBytes(t, file("a", "1"), file("b", "2"))
	var parts []byte
	for i := 0; i < len(plain); i += 100 {
		parts = append(parts, gz(t, plain[i:min(i+100, len(plain))])...)
	}
	require.Equal(t, []string{"a", "b"}, paths(open(t, Archive(save(t, "a.tgz", parts))).Manifest))
	var more []tarItem
	for i := range 100 {
		more = append(more, file(fmt.Sprint(i), ""))
	}
	refusedWith(t, TooLarge, ArchiveFile{Path: makeTar(t, more...), Limits: Limits{Members: 99}})
	// Long runs of empty parts end, and give nothing.
	empty := bytes.Repeat(gz(t, nil), 10_000)
	refused(t, NotAnArchive, save(t, "a.tgz", empty))
}

func TestZ23_FolderModeAfterItsFiles(t *testing.T) {
	d := folderAt("d")
	d.Mode = 0
	f := file("d/f", "1")
	f.Mode = 0o200
	b := open(t, Archive(makeTar(t, f, d, file("d/e/g", "2"))))
	require.Equal(t, fs.ModeDir, b.Manifest.Find("d").Mode)
	require.Equal(t, fs.FileMode(0o200), b.Manifest.Find("d/f").Mode)
	dst := filepath.Join(t.TempDir(), "dst")
	require.NoError(t, b.Copy(t.Context(), dst, CopyOptions{}))
	fi, err := os.Stat(filepath.Join(dst, "d"))
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, fs.FileMode(0o700), fi.Mode().Perm(), "the owner can always clean up")
	}
	require.True(t, packTime.Equal(fi.ModTime()))
}

func TestZ24_AppSpecIsALinkOut(t *testing.T) {
	for _, name := range []string{"appspec.yml", "scripts/start.sh"} {
		e := refused(t, LinkEscapes, makeTar(t, link(name, "../../etc/shadow")))
		require.Equal(t, name, e.Member)
	}
}

func TestZ25_FolderReplacesLink(t *testing.T) {
	refused(t, DuplicateMember, makeTar(t, folderAt("d"), link("l", "d"), folderAt("l"), file("l/f", "1")))
}

func TestOddTimesAreLeftOut(t *testing.T) {
	f := file("f", "1")
	f.ModTime = time.Unix(1<<40, 0)
	require.Zero(t, open(t, Archive(makeTar(t, f))).Manifest.Find("f").ModTime)
}

func TestWorkMustBeEmpty(t *testing.T) {
	work := t.TempDir()
	write(t, work, map[string]string{"x": "1"})
	_, err := Archive(makeTar(t, file("f", "1"))).Open(t.Context(), work)
	requireCode(t, WriteFailed, err)
}
