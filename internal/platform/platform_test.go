package platform_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/platform"
)

func TestPlatforms(t *testing.T) {
	for said, want := range map[string]string{
		"Linux x86_64\n": "linux-amd64", "Linux aarch64": "linux-arm64", "Darwin arm64": "darwin-arm64", "FreeBSD amd64": "freebsd-amd64", "Linux armv7l": "linux-arm",
	} {
		os, arch, ok := platform.Of(said)
		require.True(t, ok, said)
		require.Equal(t, want, os+"-"+arch)
	}
	for _, said := range []string{"", "Linux", "Linux vax", "x86_64", "Notes x86_64"} {
		_, _, ok := platform.Of(said)
		require.False(t, ok, said)
	}
	require.Equal(t, []string{"linux aarch64", "linux arm64"}, platform.Unames("linux", "arm64"))
	require.Empty(t, platform.Unames("linux", "vax"))
	require.Empty(t, platform.Unames("", "amd64"))
	require.Empty(t, platform.Unames("notes", "amd64"), "a file that is called notes-amd64")
}
