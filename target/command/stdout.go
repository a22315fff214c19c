package command

import "strings"

// A weight is a few digits; what is longer is no weight.
const maxPrinted = 4 << 10

// mark is what lines of standard output begin with in what a hook writes.
const mark = "[stdout]"

// stdout picks standard output out of what a hook writes, and keeps the beginning.
type stdout struct {
	text strings.Builder
	rest string // of a line that is not ended
}

func (s *stdout) Write(p []byte) (int, error) {
	s.rest += string(p)
	for {
		line, rest, ended := strings.Cut(s.rest, "\n")
		if !ended {
			break
		}
		s.take(line + "\n")
		s.rest = rest
	}
	if len(s.rest) > maxPrinted {
		s.take(s.rest)
		s.rest = ""
	}
	return len(p), nil
}

func (s *stdout) take(line string) {
	if text, ok := strings.CutPrefix(line, mark); ok && s.text.Len() < maxPrinted {
		s.text.WriteString(text)
	}
}

// String is what was printed.
func (s *stdout) String() string {
	s.take(s.rest)
	s.rest = ""
	return s.text.String()
}
