package lifecycle

import (
	"bytes"
	"fmt"
	"io"
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
}

// sinkOf finds the runner's log behind out, or makes a plain one.
func sinkOf(out io.Writer) sink {
	if s, ok := out.(sink); ok {
		return s
	}
	return &plainSink{out: out}
}

// plainSink writes entries to a writer that knows nothing of them.
type plainSink struct {
	out  io.Writer
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
	// An output that cannot be written fails no hook.
	_, _ = p.out.Write(p.buf)
}

func (p *plainSink) commit() {}

// eventLog is the log of one event: every entry with its time into the file, and
// the last of them in memory for the failure.
type eventLog struct {
	w     io.Writer // nil: nowhere
	limit int64     // bytes for w; negative: none
	clock func() time.Time

	stamp []byte // the time that entries begin with; empty: to be asked for

	tail    tail
	written int64
	left    int64 // bytes left out of w
	err     error // first failure of w
	open    string
	inEntry bool
	buf     []byte
	rest    []byte // bytes written by a Go hook, up to the next line end
}

// maxRest bounds what is kept of an unfinished line.
const maxRest = 64 << 10

// Write takes the output of a Go hook and makes an entry of each line.
func (l *eventLog) Write(p []byte) (int, error) {
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

// flush ends an entry that a Go hook left without line end.
func (l *eventLog) flush() {
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
	if l.err != nil {
		l.left += int64(len(p))
		return
	}
	if len(p) == 0 {
		return
	}
	n, err := l.w.Write(p)
	l.written += int64(n)
	l.left += int64(len(p) - n)
	l.err = err
}

// close says in the log and to the caller what the log does not hold.
func (l *eventLog) close(note func(Code, string)) {
	l.commit()
	switch {
	case l.err != nil:
		note("", fmt.Sprintf("the log of the scripts could not be written, %d bytes of it are lost: %v", l.left, l.err))
	case l.left > 0:
		text := fmt.Sprintf("truncated %d bytes: the log of an event is kept up to %d bytes", l.left, l.limit)
		fmt.Fprintf(l.w, "\n%s%s\n", l.time(), text)
		note("", text)
	}
}
