package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnvironmentOfScripts(t *testing.T) {
	b := newBox(t)
	b.agent.Env = []string{"PATH=" + value(fixedEnv, "PATH"), "LIFECYCLE_EVENT=stale", "FLAVOUR=mint", "TWICE=1", "TWICE=2"}
	job := b.newJob(files{"appspec.yml": spec("AfterInstall", "location: env.sh"), "app/a": "1", "env.sh": "#!/bin/sh\nenv > \"$CUTOVER_ROOT/env\"\npwd > \"$CUTOVER_ROOT/pwd\"\n"})
	job.Env = []string{"FLAVOUR=lemon"}
	job.Revision.Location.Params = map[string]string{"bucket": "b", "commit": "c0ffee", "secret": "no"}
	t.Setenv("CUTOVER_TEST_LEAK", "1")
	b.ok("arn:aws:codedeploy:eu-west-1:1:deployment/d-1", job)
	data, err := os.ReadFile(filepath.Join(b.root, "env"))
	require.NoError(t, err)
	got := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		name, text, _ := strings.Cut(line, "=")
		got[name] = text
	}
	for name, want := range map[string]string{
		"LIFECYCLE_EVENT": "AfterInstall", "DEPLOYMENT_ID": "d-1", "APPLICATION_NAME": "shop", "DEPLOYMENT_GROUP_NAME": "Fleet",
		"DEPLOYMENT_GROUP_ID": "g1", "CUTOVER_ROOT": b.root, "FLAVOUR": "lemon", "TWICE": "2", "BUNDLE_BUCKET": "b", "BUNDLE_COMMIT": "c0ffee",
	} {
		require.Equal(t, want, got[name], name)
	}
	require.NotContains(t, got, "CUTOVER_TEST_LEAK", "nothing is inherited")
	require.NotContains(t, got, "BUNDLE_KEY")
	require.NotContains(t, string(data), "secret")
	pwd, err := os.ReadFile(filepath.Join(b.root, "pwd"))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(strings.TrimSpace(string(pwd)), "/"+archiveDir))
}

func TestWindowsEnvironmentNamesTheSystem(t *testing.T) {
	env := windowsEnv(`D:\Win`, "amd64")
	require.Equal(t, `D:\Win`, value(env, "SystemRoot"))
	require.Equal(t, "D:", value(env, "SystemDrive"))
	require.Equal(t, `D:\Win\System32\cmd.exe`, value(env, "ComSpec"))
	require.Equal(t, `D:\Win\System32;D:\Win;D:\Win\System32\Wbem;D:\Win\System32\WindowsPowerShell\v1.0\`, value(env, "PATH"))
	require.Equal(t, "AMD64", value(env, "PROCESSOR_ARCHITECTURE"))
}
