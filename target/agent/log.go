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

// span is a part of a log, in bytes. What a step prints is in one piece: the log is one
// deployment's, on one host, which does a step at a time. So is what a step prints that is
// cut off and goes on, since its deployment does nothing else there meanwhile.
type span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"` // of a step that has ended
}

func (w *work) logPath() string { return filepath.Join(w.dir, filepath.FromSlash(logFile)) }

// logSize is how long the log is; one that is not there has no length.
func (w *work) logSize() int64 {
	info, err := os.Stat(w.logPath())
	if err != nil {
		return 0
	}
	return info.Size()
}

// showAgain shows what the step has printed before, to those who may have been away. What
// cannot be read is left out: it is for people who watch.
func (w *work) showAgain() {
	if w.show == nil || w.out.Printed == nil {
		return
	}
	f, err := os.Open(w.logPath())
	if err != nil {
		return
	}
	defer f.Close()
	from, to := w.out.Printed.From, w.out.Printed.To
	if !w.out.Ended {
		to = w.logSize()
	}
	_, _ = io.Copy(w.show, io.NewSectionReader(f, from, max(0, to-from)))
}
