package revision

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path"
	"regexp"
	"unicode/utf8"
)

// versionKey is what every AppSpec has, in YAML or in JSON, and what neither web
// pages nor error messages of services have.
var versionKey = regexp.MustCompile(`(?i)(?:^|\n|[{,])[ \t\r\n]*["']?version["']?[ \t]*:`)

// document returns the content of a file if it is one AppSpec and nothing else
// (CodeDeploy: bundle types YAML and JSON); nil: it is not.
func document(f *os.File, size int64) []byte {
	if size > maxSpec {
		return nil
	}
	content, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil || !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return nil
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(text, []byte("<")) || bytes.HasPrefix(text, []byte("#!")) || !versionKey.Match(text) {
		return nil
	}
	return content
}

// single is a revision of one file, which is written into work.
func single(work, name string, content []byte) (*Bundle, error) {
	work = absolute(work)
	if err := emptyDir(work, openRootFolder); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(work)
	if err != nil {
		return nil, unwritable("", err)
	}
	defer root.Close()
	m := Manifest{}
	if dir := path.Dir(name); dir != "." {
		return nil, refuse(MemberName, name, "a revision of one file has no folders; name the file only")
	}
	if err := root.WriteFile(name, content, 0o644); err != nil {
		return nil, unwritable(name, err)
	}
	sum := sha256.Sum256(content)
	m.Entries = []Entry{{Path: name, Mode: 0o644, Size: int64(len(content)), Digest: hex.EncodeToString(sum[:])}}
	return &Bundle{Dir: work, Kind: KindArchive, Manifest: m}, nil
}
