package revision

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// list reads the directory from its beginning. The system tells the types along
// with the names on nearly all file systems; elsewhere each is asked for.
func (d fdFolder) list() ([]item, error) {
	if _, err := unix.Seek(d.fd, 0, 0); err != nil {
		return nil, os.NewSyscallError("seek", err)
	}
	var items []item
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(d.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("getdents", err)
		}
		if n == 0 {
			return items, nil
		}
		if items, err = d.parse(items, buf[:n]); err != nil {
			return nil, err
		}
	}
}

// The layout of a record that getdents64 returns.
const (
	direntLength = 16 // two bytes
	direntType   = 18
	direntName   = 19 // ends with a zero byte
)

func (d fdFolder) parse(items []item, b []byte) ([]item, error) {
	for len(b) >= direntName {
		size := int(binary.NativeEndian.Uint16(b[direntLength:]))
		rec := b[:size]
		b = b[size:]
		name := rec[direntName:]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		it := item{name: string(name)}
		if it.name == "." || it.name == ".." {
			continue
		}
		if t := uint32(rec[direntType]); t != unix.DT_UNKNOWN {
			it.kind = fromUnix(t << 12).Type()
		} else {
			mode, err := d.stat(it.name)
			if err != nil {
				return nil, err
			}
			it.kind = mode & fs.ModeType
		}
		items = append(items, it)
	}
	return items, nil
}

// syncsTrees says that syncTree writes the content of files, too.
const syncsTrees = true

// syncTree writes out the whole file system that holds dir.
func syncTree(dir string, _ []Entry) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
