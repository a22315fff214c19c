package appspec

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

// quoted writes text in double quotes, in the form that YAML and JSON share.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var (
	reBare     = lazyregexp.New(`^[A-Za-z/_\\][A-Za-z0-9/_.@+:\\-]*$`)
	reBareFlow = lazyregexp.New(`^[A-Za-z/_][A-Za-z0-9/_.@+-]*$`)
)

// bare writes text without quotes where every reader takes it for the same text,
// else with. flow: it may stand between brackets.
func bare(s string, flow bool) string {
	re := reBare
	if flow {
		re = reBareFlow
	}
	switch strings.ToLower(s) {
	case "y", "n":
		return quoted(s)
	}
	if !re.MatchString(s) || strings.HasSuffix(s, ":") || plain(s).kind != kindText {
		return quoted(s)
	}
	return s
}

// unquotable reports text that no quotes can hold.
func unquotable(s string) bool { return !utf8.ValidString(s) }
