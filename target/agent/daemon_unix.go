//go:build unix

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startDaemon starts the process that does the steps, away from this session, and
// returns a connection to it. When that has ended, died says what the process died of;
// nil: it did not, or by no fault of its own, and may be started again.
func startDaemon(dir, umask, digest string) (c net.Conn, died func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, err
	}
	unix.CloseOnExec(fds[0])
	theirs := os.NewFile(uintptr(fds[1]), "agent")
	defer theirs.Close()
	ours := os.NewFile(uintptr(fds[0]), "agent")
	defer ours.Close()
	log, err := os.OpenFile(filepath.Join(dir, agentsDir, daemonLog), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd := exec.Command(self, mainName, "daemon", dir, umask, digest)
	cmd.Dir, cmd.Stderr, cmd.ExtraFiles = "/", log, []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // also so that it does not stay a zombie while this one lives
	c, err = net.FileConn(ours)
	return c, func() error { return fault(ended, log.Name()) }, err
}

// fault waits a little for the end of a process, and returns what it has said if it has
// ended with a status that is none of success.
func fault(ended <-chan error, log string) error {
	select {
	case err := <-ended:
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() <= 0 {
			return nil // somebody killed it, or it has nothing to do
		}
		text, _ := os.ReadFile(log) // the status is left
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(text[:min(len(text), 4<<10)])))
	case <-time.After(5 * time.Second):
		return nil
	}
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
