package onprem

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cutover-deploy/cutover/internal/platform"
	"github.com/cutover-deploy/cutover/target/agent"
)

// program is an executable that can be sent.
type program struct {
	path   string
	digest string
	size   int64
}

// own is the program for hosts of the platform of Access.Executable.
func (a *Access) own() (*program, error) {
	if a.Executable != "" {
		return a.program(a.Executable)
	}
	if !agent.MainCalled() {
		return nil, fmt.Errorf("this program cannot be sent as agent, since its main does not begin with agent.Main(): add the call, or name another program in Access.Executable")
	}
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("the executable of this process is not known: %w; set Access.Executable", err)
	}
	return a.program(path)
}

// forPlatform is the program for a host that says "uname -sm".
func (a *Access) forPlatform(uname string) (*program, error) {
	os, arch, ok := platform.Of(uname)
	if !ok {
		return nil, fmt.Errorf("the host is %q, a platform that is not known", uname)
	}
	if a.Executables != "" {
		return a.program(filepath.Join(a.Executables, os+"-"+arch))
	}
	if a.Executable == "" && (os != runtime.GOOS || arch != runtime.GOARCH) {
		return nil, fmt.Errorf("the host is %s/%s, this program %s/%s: build it for the host, as %s-%s in a directory that Access.Executables names", os, arch, runtime.GOOS, runtime.GOARCH, os, arch)
	}
	return a.own()
}

// program reads an executable, once: its digest, and whether it can be an agent.
func (a *Access) program(path string) (*program, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.programs[path]; p != nil {
		return p, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the program for the hosts cannot be read: %w", err)
	}
	defer f.Close()
	h, s := sha256.New(), &search{what: []byte(agent.Linked())}
	n, err := io.Copy(io.MultiWriter(h, s), f)
	if err != nil {
		return nil, fmt.Errorf("the program for the hosts cannot be read: %w", err)
	}
	if !s.found {
		return nil, fmt.Errorf("%s cannot be an agent: its main does not begin with agent.Main(), or it was built with another version of the library", path)
	}
	p := &program{path: path, digest: hex.EncodeToString(h.Sum(nil)), size: n}
	a.programs[path] = p
	return p, nil
}

// search looks for a text in what is written to it.
type search struct {
	what  []byte
	tail  []byte
	found bool
}

func (s *search) Write(p []byte) (int, error) {
	if s.found {
		return len(p), nil
	}
	s.tail = append(s.tail, p...)
	s.found = bytes.Contains(s.tail, s.what)
	s.tail = append([]byte(nil), s.tail[max(0, len(s.tail)-len(s.what)):]...)
	return len(p), nil
}
