package sshtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Require is the environment variable that makes a missing sshd a failure: a list of
// names with commas, such as "moto,sshd".
const Require = "CUTOVER_REQUIRE"

// Fleet is OpenSSH's server on many addresses of this machine.
type Fleet struct {
	Addresses []string // one for each host
	Host      Key
	User      Key
	Login     string // who may log in: the account of the test
	port      int
	logs      []string
}

// perDaemon is the most addresses that one sshd listens on.
const perDaemon = 16

// NewFleet starts real sshd processes for n hosts, which end with the test; config are
// further lines of their configuration. Where there is no sshd the test is skipped, or
// fails if [Require] has "sshd".
func NewFleet(tb testing.TB, n int, config ...string) *Fleet {
	tb.Helper()
	program, err := sshd()
	if err != nil {
		missing(tb, err)
	}
	who, err := user.Current()
	check(tb, err)
	dir := tb.TempDir()
	f := &Fleet{Host: NewKey(tb, dir, "host"), User: NewKey(tb, dir, "user"), Login: who.Username}
	for i := range n {
		f.Addresses = append(f.Addresses, fmt.Sprintf("127.0.1.%d", i+1))
	}
	f.port = freePort(tb, f.Addresses[0])
	for i := 0; i < n; i += perDaemon {
		f.start(tb, program, dir, i, f.Addresses[i:min(n, i+perDaemon)], config)
	}
	for i := range f.Addresses {
		f.Addresses[i] = net.JoinHostPort(f.Addresses[i], strconv.Itoa(f.port))
	}
	for _, a := range f.Addresses {
		f.wait(tb, a)
	}
	return f
}

func sshd() (string, error) {
	if p, err := exec.LookPath("sshd"); err == nil {
		return p, nil
	}
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", errors.New("there is no sshd: install openssh-server")
}

func missing(tb testing.TB, err error) {
	tb.Helper()
	for name := range strings.SplitSeq(os.Getenv(Require), ",") {
		if strings.TrimSpace(name) == "sshd" {
			tb.Fatalf("%v, and %s requires it", err, Require)
		}
	}
	tb.Skipf("SKIPPED hosts with a real sshd: %v", err)
}

func freePort(tb testing.TB, address string) int {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		missing(tb, fmt.Errorf("this machine has no more loopback addresses than one: %w", err))
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts one daemon. It stays in the foreground and is killed by its own id.
func (f *Fleet) start(tb testing.TB, program, dir string, number int, addresses, more []string) {
	tb.Helper()
	keys := filepath.Join(dir, "authorized_keys")
	pub, err := os.ReadFile(f.User.File + ".pub")
	check(tb, err)
	check(tb, os.WriteFile(keys, pub, 0o600))
	if os.Getuid() == 0 { // the privilege separation of some builds
		if err := os.Mkdir("/run/sshd", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			missing(tb, err)
		}
	}
	config := filepath.Join(dir, fmt.Sprintf("sshd_config_%d", number))
	log := config + ".log"
	lines := []string{
		"Port " + strconv.Itoa(f.port), "HostKey " + f.Host.File, "AuthorizedKeysFile " + keys, "PidFile none",
		"StrictModes no", "UsePAM no", "PermitRootLogin prohibit-password", "PasswordAuthentication no",
		"MaxStartups 100:30:200", "LogLevel ERROR", "PrintMotd no",
	}
	for _, a := range addresses {
		lines = append(lines, "ListenAddress "+a)
	}
	lines = append(lines, more...)
	check(tb, os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	var said bytes.Buffer
	cmd := exec.Command(program, "-D", "-f", config, "-E", log)
	cmd.Stderr = &said
	check(tb, cmd.Start())
	f.logs = append(f.logs, log)
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed: its status says nothing
	})
}

func (f *Fleet) wait(tb testing.TB, address string) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
	}
	for _, log := range f.logs {
		text, _ := os.ReadFile(log)
		tb.Logf("%s: %s", log, text)
	}
	tb.Fatalf("sshd does not listen on %s", address)
}
