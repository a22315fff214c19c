package lifecycle

import "unicode/utf8"

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
	older []byte // the entries before the newest, one after another
	ends  []int  // where each of them ends
	last  []byte // the newest entry, still growing
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
	t.older = append(t.older, t.last...)
	t.ends = append(t.ends, len(t.older))
	t.last = t.last[:0]
	if len(t.older) > 4*tailKeep {
		t.forget()
	}
}

// forget lets go of the entries that do not fit, and so never will again.
func (t *tail) forget() {
	n := t.fits()
	from := len(t.older)
	if n < len(t.ends) {
		from = t.start(n)
	}
	t.older = append(t.older[:0], t.older[from:]...)
	t.ends = append(t.ends[:0], t.ends[n:]...)
	for i := range t.ends {
		t.ends[i] -= from
	}
}

// start is where older entry i begins.
func (t *tail) start(i int) int {
	if i == 0 {
		return 0
	}
	return t.ends[i-1]
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
	if n := t.fits(); n < len(t.ends) {
		return string(t.older[t.start(n):]) + last
	}
	return last
}

// fits returns the first of the older entries that is kept.
func (t *tail) fits() int {
	sum := 0
	for i := len(t.ends) - 1; i >= 0; i-- {
		n := utf8.RuneCount(t.older[t.start(i):t.ends[i]])
		sum += n
		if tailChars-sum-n <= 0 {
			return i + 1
		}
	}
	return 0
}
