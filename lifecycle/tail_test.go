package lifecycle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The agent's rule, with its numbers: entries of 58 characters keep 35.
func TestTailKeepsWholeEntries(t *testing.T) {
	var log tail
	entry := "[stdout]" + strings.Repeat("ž", 49) + "\n"
	for range 2000 {
		log.add(true, markStdout, []byte(entry[len(markStdout):]))
	}
	require.Equal(t, strings.Repeat(entry, 35), log.String())
}

func TestTailOfALongLine(t *testing.T) {
	var log tail
	log.add(true, markStdout, []byte("short\n"))
	log.add(true, markStdout, []byte(strings.Repeat("0", 2100)+"\n"))
	require.Equal(t, strings.Repeat("0", 2046)+"\n", log.String(), "the agent would keep nothing")
	log.add(true, markStderr, []byte("after\n"))
	require.Equal(t, "[stderr]after\n", log.String(), "a long line hides what was before it, as with the agent")
}
