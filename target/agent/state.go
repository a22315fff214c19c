package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names below the state directory. None can be the encoded id of a group, since
// those never begin with a dot.
const (
	groupsDir  = ".groups"   // one record per group: what is installed
	stepsDir   = ".steps"    // outcomes of steps, a folder per deployment
	installDir = ".install"  // what the install transaction keeps, a folder per group
	incoming   = ".incoming" // what has come of a revision so far
	agentsDir  = ".agents"   // executables, named by digest, and the socket of the agent's process
	lockName   = ".lock"     // one operation at a time on this host
)

// Names below the folder of a deployment, which is GROUP/DEPLOYMENT as the host
// agent has it.
const (
	archiveDir   = "deployment-archive" // the unpacked revision
	logFile      = "logs/scripts.log"
	releaseFile  = "release.json" // what the revision is, and its AppSpec as parsed
	manifestFile = "manifest"     // what the revision held when it was fetched
	preparedDir  = ".prepared"    // all of the above before the download is official
)

// maxPart bounds the length of an encoded id; most file systems end at 255.
const maxPart = 200

// part makes an id usable as one part of a path. Different ids give different
// parts, plain ids stay readable, and no part is special to any file system:
// none is empty, begins with a dot or a blank, or holds a separator.
func part(id string) string {
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; plain(c) && !edgeBlank(id, i) && (i > 0 || c != '.') {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	s := b.String()
	if s == "" {
		return "%"
	}
	if len(s) > maxPart {
		sum := sha256.Sum256([]byte(id))
		s = s[:maxPart-66] + "%%" + hex.EncodeToString(sum[:])
	}
	return s
}

func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-_.+=@, ", c) >= 0
}

// edgeBlank reports whether id has a blank or a dot at i that some file system
// would drop, because it is the first or the last character.
func edgeBlank(id string, i int) bool {
	if i != 0 && i != len(id)-1 {
		return false
	}
	return id[i] == ' ' || (id[i] == '.' && i == len(id)-1)
}

// shortID is what scripts see as deployment id: CodeDeploy's own ids as they are,
// and of an ARN the part after the resource type.
func shortID(id string) string {
	if !strings.HasPrefix(id, "arn:") {
		return id
	}
	fields := strings.SplitN(id, ":", 6)
	if len(fields) < 6 {
		return id
	}
	if _, rest, ok := strings.Cut(fields[5], "/"); ok {
		return rest
	}
	return id
}

// writeFile replaces a file as a whole: after a crash it has the old content or
// the new one, and after writeFile has returned, the new one.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(dir)
}

func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

// readJSON fills v from a file. A missing file is no error and leaves v alone;
// found says which it was.
func readJSON(path string, v any) (found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return true, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return true, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
