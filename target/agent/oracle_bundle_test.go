//go:build unix

package agent

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// member is one entry of an archive, in its order.
type member struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Mode    string `json:"mode"`
	Content string `json:"content"`
	Link    string `json:"link"`
	Mtime   int64  `json:"mtime"`
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
	UName   string `json:"uname"`
	GName   string `json:"gname"`
	DOS     bool   `json:"dos"`
}

// packTime is the time of all members that name none.
const packTime = 1700000000

// makeBundle prepares the bundle of a deployment and returns what to deploy: a
// directory or an archive.
func (r *oracleRun) makeBundle(t *testing.T, n int, d oracleDeploy) string {
	t.Helper()
	base := filepath.Join(r.root, "bundles", "b"+strconv.Itoa(n))
	require.NoError(t, os.MkdirAll(filepath.Dir(base), 0o755))
	r.bundle = base
	var members []member
	if strings.HasSuffix(d.Bundle, ".entries.json") {
		data, err := os.ReadFile(filepath.Join(r.c.dir, d.Bundle))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &members))
	} else {
		r.copyBundle(t, filepath.Join(r.c.dir, d.Bundle), base)
		r.ops(t, d.Prepare)
		if d.Type == "directory" {
			return base
		}
		members = listMembers(t, base, d.Prefix)
	}
	for i := range members {
		members[i].Content = r.fill(members[i].Content)
		members[i].Link = r.fill(members[i].Link)
	}
	file := base + "." + d.Type
	f, err := os.Create(file)
	require.NoError(t, err)
	switch d.Type {
	case "tar":
		writeTar(t, f, members)
	case "tgz":
		z := gzip.NewWriter(f)
		writeTar(t, z, members)
		require.NoError(t, z.Close())
	case "zip":
		writeZip(t, f, members)
	}
	require.NoError(t, f.Close())
	return file
}

// copyBundle copies the folder of a case. Modes in the repository do not count.
func (r *oracleRun) copyBundle(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		target := filepath.Join(to, rel)
		if e.IsDir() {
			return os.Mkdir(target, 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(path, ".sh") {
			mode = 0o755
		}
		return os.WriteFile(target, bytes.ReplaceAll(data, []byte("{{ROOT}}"), []byte(r.root)), mode)
	}))
}

func listMembers(t *testing.T, dir, prefix string) []member {
	t.Helper()
	var out []member
	if prefix != "" {
		out = append(out, member{Name: prefix, Type: "dir", Mode: "0755"})
	}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := e.Info()
		if err != nil {
			return err
		}
		m := member{Name: prefix + rel, Type: "file", Mode: octal(info.Mode())}
		switch {
		case e.IsDir():
			m.Type, m.Name = "dir", m.Name+"/"
		case info.Mode()&fs.ModeSymlink != 0:
			m.Type = "symlink"
			m.Link, err = os.Readlink(path)
		default:
			var data []byte
			data, err = os.ReadFile(path)
			m.Content = string(data)
		}
		out = append(out, m)
		return err
	}))
	sort.SliceStable(out, func(i, j int) bool {
		return strings.TrimSuffix(out[i].Name, "/") < strings.TrimSuffix(out[j].Name, "/")
	})
	return out
}

func octal(m fs.FileMode) string {
	u := uint32(m.Perm())
	for bit, v := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			u |= v
		}
	}
	s := strconv.FormatUint(uint64(u), 8)
	return strings.Repeat("0", max(0, 4-len(s))) + s
}

func (m *member) mode() int64 {
	if m.Mode == "" {
		return 0o644
	}
	n, _ := strconv.ParseInt(m.Mode, 8, 32)
	return n
}

func (m *member) time() time.Time {
	if m.Mtime == 0 {
		return time.Unix(packTime, 0)
	}
	return time.Unix(m.Mtime, 0)
}

var tarTypes = map[string]byte{"": tar.TypeReg, "file": tar.TypeReg, "dir": tar.TypeDir, "symlink": tar.TypeSymlink, "hardlink": tar.TypeLink}

func writeTar(t *testing.T, w io.Writer, members []member) {
	t.Helper()
	tw := tar.NewWriter(w)
	for _, m := range members {
		h := &tar.Header{Name: m.Name, Typeflag: tarTypes[m.Type], Mode: m.mode(), ModTime: m.time(),
			Uid: m.UID, Gid: m.GID, Uname: m.UName, Gname: m.GName, Linkname: m.Link}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(m.Content))
		}
		require.NoError(t, tw.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			_, err := tw.Write([]byte(m.Content))
			require.NoError(t, err)
		}
	}
	require.NoError(t, tw.Close())
}

func writeZip(t *testing.T, w io.Writer, members []member) {
	t.Helper()
	zw := zip.NewWriter(w)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.Name, Method: zip.Deflate, Modified: m.time().UTC()}
		if !m.DOS {
			kind := map[string]uint32{"dir": 0o040000, "symlink": 0o120000}[m.Type]
			if kind == 0 {
				kind = 0o100000
			}
			h.CreatorVersion = 3 << 8
			h.ExternalAttrs = (kind | uint32(m.mode())) << 16
		}
		content := m.Content
		if m.Type == "symlink" {
			content = m.Link
		}
		if m.Type == "dir" {
			h.Method = zip.Store
		}
		f, err := zw.CreateHeader(h)
		require.NoError(t, err)
		if m.Type != "dir" {
			_, err = f.Write([]byte(content))
			require.NoError(t, err)
		}
	}
	require.NoError(t, zw.Close())
}
