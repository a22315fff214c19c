//go:build unix

package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// treeEntry is one line of a listing.
type treeEntry struct {
	Path   string   `json:"path"`
	Type   string   `json:"type"`
	Mode   string   `json:"mode,omitempty"`
	Owner  string   `json:"owner"`
	Group  string   `json:"group"`
	Size   *int64   `json:"size,omitempty"`
	SHA256 string   `json:"sha256,omitempty"`
	Target string   `json:"target,omitempty"`
	ACL    []string `json:"acl,omitempty"`
	Mtime  *int64   `json:"mtime,omitempty"`
}

// tree lists a directory as the recorded runs do; nil: it does not exist.
func (r *oracleRun) tree(t *testing.T, top string) []treeEntry {
	t.Helper()
	if _, err := os.Lstat(top); err != nil {
		return nil
	}
	hasACL := contains(r.c.Needs, "acl")
	var out []treeEntry
	var walk func(path, rel string)
	walk = func(path, rel string) {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		st := info.Sys().(*syscall.Stat_t)
		e := treeEntry{Path: rel, Mode: octal(info.Mode()), Owner: userName(st.Uid), Group: groupName(st.Gid)}
		switch info.Mode().Type() {
		case 0:
			e.Type = "file"
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data = bytes.ReplaceAll(data, []byte(r.root), []byte("{{ROOT}}"))
			size, sum := int64(len(data)), sha256.Sum256(data)
			e.Size, e.SHA256 = &size, hex.EncodeToString(sum[:])
			if r.c.CompareMtime {
				sec := info.ModTime().Unix()
				e.Mtime = &sec
			}
		case fs.ModeDir:
			e.Type = "dir"
		case fs.ModeSymlink:
			e.Type, e.Mode = "symlink", ""
			link, err := os.Readlink(path)
			require.NoError(t, err)
			e.Target = strings.ReplaceAll(link, r.root, "{{ROOT}}")
		case fs.ModeNamedPipe:
			e.Type = "fifo"
		default:
			e.Type = "other"
		}
		if hasACL && e.Type != "symlink" {
			e.ACL = acl(path)
		}
		out = append(out, e)
		if e.Type != "dir" {
			return
		}
		list, err := os.ReadDir(path)
		require.NoError(t, err)
		sort.Slice(list, func(i, j int) bool { return list[i].Name() < list[j].Name() })
		for _, x := range list {
			sub := x.Name()
			if rel != "." {
				sub = rel + "/" + sub
			}
			walk(filepath.Join(path, x.Name()), sub)
		}
	}
	walk(top, ".")
	return out
}

var names sync.Map // ids seen, with their names

func userName(id uint32) string {
	key := "u" + strconv.Itoa(int(id))
	if v, ok := names.Load(key); ok {
		return v.(string)
	}
	name := key[1:]
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	names.Store(key, name)
	return name
}

func groupName(id uint32) string {
	key := "g" + strconv.Itoa(int(id))
	if v, ok := names.Load(key); ok {
		return v.(string)
	}
	name := key[1:]
	if g, err := user.LookupGroupId(name); err == nil {
		name = g.Name
	}
	names.Store(key, name)
	return name
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
