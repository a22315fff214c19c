//go:build unix

package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oracleOp is something done to the machine around deployments, or asked of it.
type oracleOp struct {
	Op      string  `json:"op"`
	Path    string  `json:"path"`
	Mode    string  `json:"mode"`
	Content string  `json:"content"`
	Base64  string  `json:"base64"`
	Target  string  `json:"target"`
	Owner   any     `json:"owner"`
	Group   any     `json:"group"`
	Find    string  `json:"find"`
	Replace string  `json:"replace"`
	Seconds float64 `json:"seconds"`
}

// ops does operations and returns the answers of the probes among them.
func (r *oracleRun) ops(t *testing.T, list []oracleOp) []oracleProbe {
	t.Helper()
	var probes []oracleProbe
	for _, o := range list {
		shown := o.Path
		o.Path, o.Content, o.Target = r.fill(o.Path), r.fill(o.Content), r.fill(o.Target)
		o.Find, o.Replace = r.fill(o.Find), r.fill(o.Replace)
		if !strings.HasPrefix(o.Op, "probe_") {
			_, err := os.Lstat(o.Path)
			if inPlace := o.Op == "patch" || o.Op == "chmod" || o.Op == "chown"; !inPlace || err == nil || !ofBooks(shown) {
				r.op(t, o)
			}
			continue
		}
		data, err := json.Marshal(r.probe(t, o))
		require.NoError(t, err)
		probes = append(probes, oracleProbe{Op: o.Op, Path: shown, Result: r.hide(data)})
	}
	return probes
}

func (r *oracleRun) op(t *testing.T, o oracleOp) {
	t.Helper()
	mode := func(fallback string) uint32 {
		if o.Mode == "" {
			o.Mode = fallback
		}
		n, err := strconv.ParseUint(o.Mode, 8, 32)
		require.NoError(t, err)
		return uint32(n)
	}
	switch o.Op {
	case "mkdir":
		require.NoError(t, os.MkdirAll(o.Path, 0o755))
		require.NoError(t, syscall.Chmod(o.Path, mode("0755")))
	case "write":
		data := []byte(o.Content)
		if o.Base64 != "" {
			var err error
			data, err = base64.StdEncoding.DecodeString(o.Base64)
			require.NoError(t, err)
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(o.Path), 0o755))
		require.NoError(t, os.WriteFile(o.Path, data, 0o644))
		require.NoError(t, syscall.Chmod(o.Path, mode("0644")))
	case "symlink":
		require.NoError(t, os.MkdirAll(filepath.Dir(o.Path), 0o755))
		require.NoError(t, os.Symlink(o.Target, o.Path))
	case "hardlink":
		require.NoError(t, os.Link(o.Target, o.Path))
	case "fifo":
		require.NoError(t, syscall.Mkfifo(o.Path, 0o644))
	case "chmod":
		require.NoError(t, syscall.Chmod(o.Path, mode("0644")))
	case "chown":
		require.NoError(t, os.Lchown(o.Path, accountID(t, o.Owner, true), accountID(t, o.Group, false)))
	case "remove":
		if err := os.RemoveAll(o.Path); !errors.Is(err, syscall.ENOTDIR) { // there is nothing below a file
			require.NoError(t, err)
		}
	case "patch":
		data, err := os.ReadFile(o.Path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(o.Path, bytes.Replace(data, []byte(o.Find), []byte(o.Replace), 1), 0o644))
	case "sleep":
		time.Sleep(time.Duration(o.Seconds * float64(time.Second)))
	default:
		t.Fatalf("unknown operation %q", o.Op)
	}
}

func accountID(t *testing.T, v any, isUser bool) int {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return -1
	case float64:
		return int(v)
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
		id := ""
		if isUser {
			u, err := user.Lookup(v)
			require.NoError(t, err)
			id = u.Uid
		} else {
			g, err := user.LookupGroup(v)
			require.NoError(t, err)
			id = g.Gid
		}
		n, err := strconv.Atoi(id)
		require.NoError(t, err)
		return n
	}
	t.Fatalf("no account: %v", v)
	return 0
}

func (r *oracleRun) probe(t *testing.T, o oracleOp) any {
	t.Helper()
	switch o.Op {
	case "probe_exists":
		_, err := os.Lstat(o.Path)
		return err == nil
	case "probe_pid":
		data, _ := os.ReadFile(o.Path)
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil || !alive(pid) {
			return false
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return true
	case "probe_file":
		data, err := os.ReadFile(o.Path)
		if err != nil {
			return nil
		}
		return string(data)
	case "probe_tree":
		return r.tree(t, o.Path)
	}
	t.Fatalf("unknown probe %q", o.Op)
	return nil
}

// alive reports whether a process runs; one that is only waited for does not.
func alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// acl lists the access rights beyond owner, group and others.
func acl(path string) []string {
	out, err := exec.Command("getfacl", "-pcE", path).Output()
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) <= 3 {
		return nil
	}
	return lines
}
