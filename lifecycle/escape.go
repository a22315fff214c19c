package lifecycle

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes output of scripts fit to be shown: control characters, escape
// sequences, characters that reorder or hide text and bytes that are not UTF-8
// become visible escapes such as \x1b,
// so that a script can neither drive a terminal nor pretend to be somebody else. Line
// ends and tabs stay. Show everything that a script has printed through it; what
// is stored stays raw.
func Escape(s string) string {
	clean := true
	for i, r := range s {
		if hidden(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !hidden(r):
			b.WriteString(s[:size])
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[size:]
	}
	return b.String()
}

// hidden says that a character must not reach a terminal: it commands it, or it
// changes how other characters are seen. Category Cf holds the bidirectional
// overrides and the characters without width.
func hidden(r rune) bool {
	return r != '\n' && r != '\t' &&
		(unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp))
}
