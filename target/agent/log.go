package agent

import (
	"io"
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

// watched is a log that somebody else may look at. The log comes first, and what becomes
// of their copy is no concern of it.
type watched struct {
	log  io.Writer
	show io.Writer // nil: nobody
}

func (l watched) Write(p []byte) (int, error) {
	n, err := l.log.Write(p)
	if l.show != nil {
		_, _ = l.show.Write(p)
	}
	return n, err
}

func (l *lazyLog) close() {
	if l.f != nil {
		_ = l.f.Close()
	}
}
