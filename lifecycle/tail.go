package lifecycle

import (
	"strings"
	"unicode/utf8"
)

// tailChars is the host agent's limit for the log that goes with a failure.
const tailChars = 2048

// tailKeep is how many bytes of one entry can matter: tailChars characters of
// four bytes.
const tailKeep = 4 * tailChars

// tail keeps the last entries of a log by the host agent's rule: the newest one,
// and before it as many whole entries as fit in 2048 characters, the oldest of
// them counted twice. The rule may be applied late, since an entry that once
// did not fit never fits again; so it is applied now and then, which makes
// adding cheap.
type tail struct {
	entries []string
	last    []byte // the newest entry, still growing
	bytes   int    // in entries
}

// add takes a piece; first begins a new entry.
func (t *tail) add(first bool, mark string, piece []byte) {
	if first {
		t.push()
		t.last = append(t.last, mark...)
	}
	if n := len(t.last) + len(piece); n > 2*tailKeep {
		// A long line: only its end can matter.
		all := append(t.last, piece[max(0, len(piece)-tailKeep):]...)
		t.last = append(t.last[:0], all[max(0, len(all)-tailKeep):]...)
		return
	}
	t.last = append(t.last, piece...)
}

// push makes the newest entry an older one.
func (t *tail) push() {
	if len(t.last) == 0 {
		return
	}
	t.entries = append(t.entries, string(t.last))
	t.bytes += len(t.last)
	t.last = t.last[:0]
	if t.bytes > 4*tailKeep {
		t.entries = append([]string(nil), fitting(t.entries)...)
		t.bytes = 0
		for _, e := range t.entries {
			t.bytes += len(e)
		}
	}
}

// String is the log as a failure carries it. Where the agent loses everything
// because the newest entry is too long, the end of that entry is kept.
func (t *tail) String() string {
	last := string(t.last)
	if n := utf8.RuneCountInString(last); n >= tailChars {
		for ; n >= tailChars; n-- {
			_, size := utf8.DecodeRuneInString(last)
			last = last[size:]
		}
		return last
	}
	return strings.Join(fitting(t.entries), "") + last
}

// fitting returns the older entries that are kept.
func fitting(entries []string) []string {
	sum := 0
	for i := len(entries) - 1; i >= 0; i-- {
		n := utf8.RuneCountInString(entries[i])
		sum += n
		if tailChars-sum-n <= 0 {
			return entries[i+1:]
		}
	}
	return entries
}
