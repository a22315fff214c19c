package console

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/strategy"
)

// List is a flag that may be given several times.
type List []string

// String implements [flag.Value].
func (l *List) String() string { return strings.Join(*l, ", ") }

// Set implements [flag.Value].
func (l *List) Set(s string) error { *l = append(*l, s); return nil }

// Parse reads flags. Those who ask for help get it, below the line that says what the
// program is about; otherwise nothing is written.
func Parse(fs *flag.FlagSet, about string, args []string, stderr io.Writer) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(stderr)
		fmt.Fprintf(stderr, "%s\n\nFlags:\n", about)
		fs.PrintDefaults()
	}
	return err
}

// ParseAll is [Parse] for programs that take flags and nothing else.
func ParseAll(fs *flag.FlagSet, about string, args []string, stderr io.Writer) error {
	if err := Parse(fs, about, args, stderr); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: everything is said by flags", fs.Arg(0))
	}
	return nil
}

// Absolute makes paths independent of where the program was started. Empty ones stay
// empty.
func Absolute(paths ...*string) (err error) {
	for _, p := range paths {
		if *p == "" {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	return nil
}

// ParseShift reads what a -shift says in our words: all (or nothing), canary:10%/5m,
// linear:10%/1m. Ours is false for anything else, such as a name of CodeDeploy's.
func ParseShift(text string) (s strategy.Shift, ours bool, err error) {
	if text == "" || text == "all" {
		return s, true, nil
	}
	kind, rest, _ := strings.Cut(text, ":")
	if kind != "canary" && kind != "linear" {
		return s, false, nil
	}
	s.Linear = kind == "linear"
	percent, wait, _ := strings.Cut(rest, "%/")
	if _, err = fmt.Sscanf(percent, "%d", &s.Percent); err == nil {
		s.Every, err = time.ParseDuration(wait)
	}
	if err != nil {
		return s, true, fmt.Errorf("-shift %s: want a percentage and a wait, such as %s:10%%/5m", text, kind)
	}
	return s, true, nil
}
