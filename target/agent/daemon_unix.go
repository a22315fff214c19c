//go:build unix

package agent

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// startDaemon starts the process that does the steps, away from this session, and
// returns a connection to it.
func startDaemon(dir, umask, digest string) (io.ReadWriteCloser, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fds[0])
	theirs := os.NewFile(uintptr(fds[1]), "agent")
	defer theirs.Close()
	ours := os.NewFile(uintptr(fds[0]), "agent")
	defer ours.Close()
	log, err := os.OpenFile(filepath.Join(dir, agentsDir, daemonLog), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(self, mainName, "daemon", dir, umask, digest)
	cmd.Dir, cmd.Stderr, cmd.ExtraFiles = "/", log, []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // only so that it does not stay a zombie while this one lives
	return net.FileConn(ours)
}

// inherited is the connection that startDaemon made.
func inherited() (net.Conn, error) {
	f := os.NewFile(3, "controller")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("there is no controller: %w", err)
	}
	return c, nil
}

func umask(mask int) { syscall.Umask(mask) }

// private reports whether a file is this account's alone.
func private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
