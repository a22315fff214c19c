package appspec

import (
	"io/fs"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// mode reads the digits as they are written: 644, 0644 and "0644" are octal 644.
// A number in another form (0x1a4, 7:55) has no digits that its author can have
// meant as a mode.
func (p *parser) mode(n *yaml.Node) (*fs.FileMode, string) {
	if isNull(n) {
		return nil, ""
	}
	const want = "3 or 4 octal digits"
	bad := func(why string) (*fs.FileMode, string) {
		pr := p.err(ErrMode, n, why).allowed(want)
		pr.Found = describe(n)
		return nil, ""
	}
	if n.Kind != yaml.ScalarNode {
		return bad("not a mode")
	}
	text := n.Value
	octal := text != "" && text[0] == '0' && resolve(n).kind == kindInt
	if octal && len(text) == 5 {
		text = text[1:] // 04755: the zero only says that it is octal
	}
	switch {
	case strings.HasPrefix(text, "0o"):
		return bad("the agent does not know this spelling")
	case len(text) > 4:
		return bad("a mode has at most 4 digits")
	case strings.Trim(text, "01234567") != "":
		return bad("a mode has octal digits only")
	}
	p.modeNotes(n, text, octal)
	text = strings.Repeat("0", max(0, 3-len(text))) + text
	bits, _ := strconv.ParseUint(text, 8, 16)
	mode := fs.FileMode(bits & 0o777)
	for _, s := range []struct {
		bit  uint64
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if bits&s.bit != 0 {
			mode |= s.mode
		}
	}
	return &mode, text
}

// modeNotes warns of modes that mean something else to CodeDeploy, or that are
// dangerous.
func (p *parser) modeNotes(n *yaml.Node, text string, octal bool) {
	if octal && len(n.Value) > 1 {
		misread := strconv.FormatInt(resolve(n).num, 10)
		p.warn(ErrMode, n, "read as octal "+text+", but CodeDeploy's agent would take the digits "+misread).
			found(n.Value).hint("put quotes around it, or leave out the zero")
	}
	if text == "" {
		p.warn(ErrMode, n, "an empty mode means 000")
	}
	if len(text) == 4 && text[0] != '0' {
		p.warn(ErrSetuid, n, "the mode sets special bits (set-user-id, set-group-id or sticky)").found(text).
			hint("leave them out unless the program is made for it")
	}
}
