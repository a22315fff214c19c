package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
)

// Against an emulator the program gets as far as that there is no such service: over the
// wire, with the real clients.
func TestOverTheWire(t *testing.T) {
	server := moto.Start(t)
	a := act{definition: "web:2"}
	dir := t.TempDir()
	require.NoError(t, a.write(dir))
	group := "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/"
	status, _, errs := program(t.Context(), "-endpoint", server.URL, "-revision", dir, "-plan", "-service", "web",
		"-group", group+"blue/1", "-group", group+"green/2", "-production", "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/web/1/2")
	require.Equal(t, exitFailed, status)
	require.Contains(t, errs, "ClusterNotFoundException")
}
