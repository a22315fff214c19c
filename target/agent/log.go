package agent

import (
	"os"
	"path/filepath"
)

// lazyLog appends to the log of the deployment, which exists only once there is
// something to write.
type lazyLog struct {
	path string
	f    *os.File
}

func (l *lazyLog) Write(p []byte) (int, error) {
	if l.f == nil {
		if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
			return 0, err
		}
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		l.f = f
	}
	return l.f.Write(p)
}

func (l *lazyLog) close() {
	if l.f != nil {
		_ = l.f.Close()
	}
}
