package agent_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/target/agent"
)

// A program that can be an agent is told by what is in it, wherever that stands.
func TestExamine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	for _, before := range []int{0, 10, 32<<10 - 20, 32 << 10, 100_000} {
		text := strings.Repeat("x", before) + agent.Linked() + "and more"
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
		sum, size, err := agent.Examine(path)
		require.NoError(t, err)
		want := sha256.Sum256([]byte(text))
		require.Equal(t, hex.EncodeToString(want[:]), sum)
		require.Equal(t, int64(len(text)), size)
	}
	require.NoError(t, os.WriteFile(path, []byte(agent.Linked()[1:]), 0o700))
	_, _, err := agent.Examine(path)
	require.ErrorContains(t, err, "agent.Main()")
	_, _, err = agent.Examine(path + ".none")
	require.ErrorIs(t, err, os.ErrNotExist)
}
