package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/target/agent/internal/serve"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Names in agentsDir.
const (
	daemonLock = "lock"   // held by the process that does the steps
	daemonSock = "socket" // where it listens
	daemonLog  = "log"    // what it says when it dies
)

// maxSocketPath is what every system takes as the path of a socket.
const maxSocketPath = 100

// socketPath is where the process of a state directory listens. Where the path would
// be too long, it is in a folder of /tmp that only its owner can open: never of TMPDIR,
// which may differ from one login to the next.
func socketPath(dir string) string {
	path := filepath.Join(dir, agentsDir, daemonSock)
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join("/tmp", fmt.Sprintf("cutover-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8])), daemonSock)
}

// daemon is the process that does the steps: the only one of its state directory. Its
// first controller comes with it, others by the socket. It ends when nothing is left
// to do and nobody is connected.
func daemon(dir, umask, digest string) error {
	if err := setUmask(umask); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, agentsDir, daemonLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := tryLock(lock); err != nil {
		if errors.Is(err, errHeld) {
			return nil // whoever started this one asks the one that holds it
		}
		return err
	}
	socket := socketPath(dir)
	l, err := listen(socket)
	if err != nil {
		return err
	}
	if filepath.Dir(socket) != filepath.Join(dir, agentsDir) {
		defer os.Remove(filepath.Dir(socket)) // it is empty once nobody listens
	}
	s := newServer(dir, umask, digest)
	first, err := inherited()
	if err != nil {
		return err
	}
	if s.Enter() {
		go s.Serve(first) // Accept waits for it: a server with a session is not idle
	}
	s.Accept(l)
	return nil
}

// newServer makes a server of an agent. Its identity is the executable and what it
// was started with.
func newServer(dir, umask, digest string) *serve.Server {
	return &serve.Server{Digest: digest + "/" + umask, NewDoer: func(set wire.Settings) serve.Doer { return newDoer(dir, set) }}
}

// listen makes the socket. One that is there was left by a process that died: who
// calls has the lock.
func listen(path string) (net.Listener, error) {
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := ownFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	_ = os.Remove(path)
	return net.Listen("unix", path)
}

// ownFolder makes sure that nobody else can put something into a folder.
func ownFolder(dir string) error {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || !private(info) {
		return fmt.Errorf("%s is not a directory that only this account can use: remove it", dir)
	}
	return nil
}

// hashFile is the hex SHA-256 of a file.
func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
