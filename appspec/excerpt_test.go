package appspec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExcerpt(t *testing.T) {
	text := "version: 0.0\nos: Linux\n"
	p := refused(t, text, ErrOS)
	require.Equal(t, "  2 | os: Linux\n    |     ^\n", p.Excerpt([]byte(text)))
	require.Empty(t, (&Problem{}).Excerpt([]byte(text)))
	require.Empty(t, (&Problem{Line: 9, Col: 1}).Excerpt([]byte(text)))
	require.Equal(t, "  1 | version: 0.0\n", (&Problem{Line: 1}).Excerpt([]byte(text)))
	require.Equal(t, "  3 | \n    | ^\n", (&Problem{Line: 3, Col: 7}).Excerpt([]byte(text)))
	require.Equal(t, "  1 | a  b\n    |    ^\n", (&Problem{Line: 1, Col: 4}).Excerpt([]byte("a\x1b\tb")))
	require.Equal(t, "  1 | 한글: x\n    |       ^\n", (&Problem{Line: 1, Col: 5}).Excerpt([]byte("\ufeff한글: x")))
	long := (&Problem{Line: 1, Col: 300}).Excerpt([]byte(strings.Repeat("a", 299) + "!" + strings.Repeat("b", 300)))
	shown, caret, _ := strings.Cut(long, "\n")
	require.Equal(t, '!', rune(shown[strings.IndexByte(caret, '^')]))
	require.Less(t, len(shown), 120)
}
