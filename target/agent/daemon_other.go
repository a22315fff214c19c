//go:build !unix

package agent

import (
	"errors"
	"io/fs"
	"net"
)

// startDaemon: there is no way here to leave the session of the login behind, so
// the steps are done in this process and end with it.
func startDaemon(dir, umask, digest string) (c net.Conn, died func() error, err error) {
	s := newServer(dir, umask, digest)
	ours, theirs := net.Pipe()
	if s.Enter() {
		go s.Serve(theirs)
	}
	return ours, func() error { return nil }, nil
}

func inherited() (net.Conn, error) {
	return nil, errors.New("this system has no agent process of its own")
}

func umask(int) {}

func private(fs.FileInfo) bool { return true }
