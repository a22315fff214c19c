package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Marks of the streams, as the host agent writes them.
const (
	markStdout = "[stdout]"
	markStderr = "[stderr]"
)

// sink takes output in entries. An entry may come in pieces, so that a line of
// any length passes in little memory.
type sink interface {
	// add takes a piece of an entry of the stream that mark names. The piece that
	// ends the entry has end set.
	add(mark string, piece []byte, end bool)
	// commit passes on what add has gathered.
	commit()
	// outlet is where it all goes; nil: nowhere.
	outlet() *outlet
}

// sinkOf finds the runner's log behind out, or makes a plain one. The hook calls done
// before it returns: nothing is written after that.
func sinkOf(ctx context.Context, out io.Writer) (s sink, done func(error)) {
	if s, ok := out.(sink); ok {
		return s, func(error) {} // the runner sees to it
	}
	p := &plainSink{out: newOutlet(out)}
	// An output that cannot be written fails no hook.
	return p, func(err error) { _, _ = p.out.flush(ctx, patience(err)) }
}

// patience is how long output may take after a hook that ended so.
func patience(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == ScriptTimedOut {
		return killWait
	}
	return slowLog
}

// plainSink writes entries to a writer that knows nothing of them.
type plainSink struct {
	out  *outlet
	open string // stream whose entry is not ended
	buf  []byte
}

func (p *plainSink) add(mark string, piece []byte, end bool) {
	p.buf = p.buf[:0]
	if p.open != mark || mark == "" {
		p.buf = append(p.buf, mark...)
	}
	p.buf = append(p.buf, piece...)
	p.open = mark
	if end {
		p.open = ""
	}
	_, _ = p.out.Write(p.buf) // the outlet keeps the error
}

func (p *plainSink) commit()         {}
func (p *plainSink) outlet() *outlet { return p.out }

// eventLog is the log of one event: every entry with its time into the file, and
// the last of them in memory for the failure.
type eventLog struct {
	w     *outlet // nil: nowhere
	limit int64   // bytes for w; negative: none
	clock func() time.Time

	stamp []byte // the time that entries begin with; empty: to be asked for

	tail    tail
	written int64
	left    int64 // bytes left out of w for the limit
	open    string
	inEntry bool
	buf     []byte
	rest    []byte     // bytes written by a Go hook, up to the next line end
	writing sync.Mutex // held during Write, which may be stuck when its hook returns
}

// maxRest bounds what is kept of an unfinished line.
const maxRest = 64 << 10

// Write takes the output of a Go hook and makes an entry of each line.
func (l *eventLog) Write(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		switch {
		case i >= 0 && len(l.rest) == 0:
			l.add("", p[:i+1], true)
			p = p[i+1:]
		case i >= 0:
			l.add("", append(l.rest, p[:i+1]...), true)
			l.rest, p = l.rest[:0], p[i+1:]
		default:
			l.rest = append(l.rest, p...)
			p = nil
		}
		if len(l.rest) > maxRest {
			l.add("", l.rest, false)
			l.rest = l.rest[:0]
		}
	}
	l.commit()
	return n, nil
}

// flush ends an entry that a Go hook left without line end. A script whose output goes
// through another writer may have left a Write behind that is stuck: d is all it gets.
func (l *eventLog) flush(ctx context.Context, d time.Duration) {
	defer l.w.limit(ctx, d)()
	l.writing.Lock()
	defer l.writing.Unlock()
	if len(l.rest) > 0 {
		l.add("", l.rest, true)
		l.rest = l.rest[:0]
	}
	l.inEntry = false
	l.commit()
}

// line logs a line of the runner's own.
func (l *eventLog) line(text string) {
	l.add("", []byte(text+"\n"), true)
	l.commit()
}

// gather is how many bytes are written to the log at once.
const gather = 32 << 10

func (l *eventLog) add(mark string, piece []byte, end bool) {
	first := !l.inEntry || l.open != mark
	if first {
		l.buf = append(l.buf, l.time()...)
		l.buf = append(l.buf, mark...)
	}
	l.buf = append(l.buf, piece...)
	if len(l.buf) >= gather {
		l.commit()
	}
	l.tail.add(first, mark, piece)
	l.open, l.inEntry = mark, !end
}

// time is the time of an entry as the log shows it, with a blank. Entries that
// are committed together came together and share one.
func (l *eventLog) time() []byte {
	if len(l.stamp) == 0 {
		l.stamp = l.clock().AppendFormat(l.stamp, "2006-01-02 15:04:05 ")
	}
	return l.stamp
}

func (l *eventLog) outlet() *outlet { return l.w }

// commit writes what was gathered, as far as the limit allows.
func (l *eventLog) commit() {
	p := l.buf
	l.buf, l.stamp = l.buf[:0], l.stamp[:0]
	if l.w == nil || len(p) == 0 {
		return
	}
	if l.limit >= 0 {
		room := min(max(0, l.limit-l.written), int64(len(p)))
		l.left += int64(len(p)) - room
		p = p[:room]
	}
	if len(p) == 0 {
		return
	}
	l.written += int64(len(p))
	_, _ = l.w.Write(p) // the outlet keeps the error and counts
}

// close says in the log and to the caller what the log does not hold, and waits at most d
// for the log to be written.
func (l *eventLog) close(ctx context.Context, d time.Duration, note func(Code, string)) {
	l.commit()
	if l.w == nil {
		return
	}
	text := ""
	if l.left > 0 {
		text = fmt.Sprintf("truncated %d bytes: the log of an event is kept up to %d bytes", l.left, l.limit)
	}
	lost, err := l.w.flush(ctx, d)
	switch {
	case err != nil:
		note("", fmt.Sprintf("the log of the scripts could not be written, %d bytes of it are lost: %v", l.left+lost, err))
	case text != "":
		fmt.Fprintf(l.w, "\n%s%s\n", l.time(), text)
		_, _ = l.w.flush(ctx, d)
		note("", text)
	}
}
