package onprem

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/cutover-deploy/cutover/internal/platform"
	"github.com/cutover-deploy/cutover/target/agent"
)

// program is an executable that can be sent.
type program struct {
	path   string
	digest string
	size   int64

	once   sync.Once
	packed []byte // compressed
	err    error
}

// parcel is a program as it is sent to a host.
type parcel struct {
	size   int64
	unpack string // command that makes the executable of it; empty: it is the executable
	open   func() (io.ReadCloser, error)
}

// parcel is the program, compressed where the host can unpack it: that halves it.
func (p *program) parcel(gzips bool) (parcel, error) {
	if !gzips {
		return parcel{size: p.size, open: func() (io.ReadCloser, error) { return os.Open(p.path) }}, nil
	}
	p.once.Do(func() { p.packed, p.err = pack(p.path) })
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.packed)), nil }
	return parcel{size: int64(len(p.packed)), unpack: "gzip -dc", open: open}, p.err
}

func pack(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err == nil {
		_, err = io.Copy(z, f)
		err = errors.Join(err, z.Close())
	}
	return b.Bytes(), err
}

func (p parcel) send(w io.Writer) error {
	f, err := p.open()
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(f, p.size), make([]byte, 256<<10))
	if err == nil && n != p.size {
		err = errors.New("the executable was changed meanwhile; deploy again")
	}
	return err
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
	digest, n, err := agent.Examine(path)
	if err != nil {
		return nil, err
	}
	p := &program{path: path, digest: digest, size: n}
	a.programs[path] = p
	return p, nil
}
