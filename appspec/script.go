package appspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

// content looks at the beginning of a script.
func (c *bundle) content(where string, s Script, name string, info fs.FileInfo) {
	if info.Size() == 0 {
		c.add(ErrScriptEmpty, s.Pos, where, "the script is empty, running it would count as success").found(s.Location)
		return
	}
	if c.spec.OS == osWindows {
		return // started by the extension, not by the first line
	}
	head, err := readHead(c.fsys, name)
	if err != nil {
		c.add(ErrScriptUnreadable, s.Pos, where, fmt.Sprintf("the script cannot be read: %v", err)).found(s.Location)
		return
	}
	if slices.ContainsFunc(programs, func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }) {
		return
	}
	for _, r := range scriptRules {
		if at := r.is.FindSubmatchIndex(head); at != nil {
			if r.code == "" {
				return // it can run
			}
			pr := c.add(r.code, s.Pos, where, r.why).found(s.Location).hint(r.hint)
			if len(at) > 2 {
				pr.found(string(head[at[2]:at[3]]))
			}
			return
		}
	}
}

// programs are the beginnings of compiled programs: ELF, and the Mach-O and
// universal formats of darwin.
var programs = []string{"\x7fELF", "\xcf\xfa\xed\xfe", "\xfe\xed\xfa\xcf", "\xca\xfe\xba\xbe"}

// scriptRules say what is wrong with a script by its beginning. The first that fits
// counts. The group is what was found; without one it is the location.
var scriptRules = []struct {
	is   *lazyregexp.Regexp
	code Code // empty: nothing
	why  string
	hint string
}{
	{lazyregexp.New(`^(#![^\n]*\r)(?:\n|$)`), ErrScriptCRLF,
		"the script's first line ends in a carriage return, so its interpreter is not found", "save it with Unix line ends"},
	{lazyregexp.New(`^(#![ \t]*\S*/env)[ \t]*(?:\n|$)`), ErrScriptNoShebang,
		"env has no interpreter behind it, so it prints the variables and succeeds", "write the interpreter's name behind it"},
	{lazyregexp.New(`^(#![ \t]*\S*/env[ \t]+[^-\s]\S*[ \t]+\S[^\n]*)`), ErrScriptNoShebang,
		"Linux hands all that stands behind env to it as one word, so the interpreter is not found", "write env -S, or the interpreter's own path"},
	{lazyregexp.New(`(?s)^#![ \t]*/.*\r\n`), ErrScriptLineEnds,
		"lines end in carriage returns, which a shell takes for a part of the last word", "save it with Unix line ends"},
	{lazyregexp.New(`^#![ \t]*/`), "", "", ""},
	{lazyregexp.New(`^(#![^\n]*)`), ErrScriptNoShebang,
		"the interpreter in the first line has no absolute path, so it is found by luck only", "write #!/bin/sh, or #!/usr/bin/env with the interpreter's name"},
	{lazyregexp.New(`^\x{feff}`), ErrScriptNoShebang, "a byte order mark hides the script's interpreter line", "save it without"},
	{lazyregexp.New(`\x00|^PK`), ErrScriptNoShebang,
		"it is neither a script nor a program of this system", "save a script as UTF-8; start what needs another program from a script"},
	{lazyregexp.New(`^[ \t\r\n]+#!`), ErrScriptNoShebang, "#! has to be the first two characters of the script, else it is a comment", "remove what stands before it"},
	{lazyregexp.New(`\r\n`), ErrScriptLineEnds,
		"lines end in carriage returns, which a shell takes for a part of the last word", "save it with Unix line ends, and begin it with #! and the interpreter's path"},
	{lazyregexp.New(`^`), ErrScriptNoShebang, "the script does not name its interpreter, the system's shell runs it", "begin it with #! and the interpreter's path"},
}

// headSize is how much of a script is looked at.
const headSize = 4 << 10

func readHead(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return head[:n], nil
}
