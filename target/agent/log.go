package agent

import (
	"io"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
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

func logPath(dir string) string { return filepath.Join(dir, filepath.FromSlash(logFile)) }

// logSize is how long the log of a deployment is; one that is not there has no length.
func logSize(dir string) int64 {
	info, err := os.Stat(logPath(dir))
	if err != nil {
		return 0
	}
	return info.Size()
}

// span is a part of a log, in bytes. What a step prints is in one piece: a host does one
// step at a time.
type span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"` // of a step that has ended
}

// printed reads what a step has printed so far, without what is more than most bytes
// before the end, and says how many bytes of it are left out. It is for people who watch:
// what cannot be read is left out.
func (a *Agent) printed(s lifecycle.Step, group string, most int64) (tail []byte, left int64) {
	o, err := a.recall(s)
	if err != nil || o.Printed == nil {
		return nil, 0
	}
	dir := a.deploymentDir(group, s.Deployment)
	f, err := os.Open(logPath(dir))
	if err != nil {
		return nil, 0
	}
	defer f.Close()
	from, to := o.Printed.From, o.Printed.To
	if !o.Ended {
		to = logSize(dir)
	}
	all := max(0, to-from)
	left = max(0, all-most)
	tail, _ = io.ReadAll(io.NewSectionReader(f, from+left, all-left))
	return tail, left
}
