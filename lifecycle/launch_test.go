package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

func TestWindowsCommandLines(t *testing.T) {
	const system = `C:\Windows\System32`
	for _, tc := range []struct {
		name, file string
		args       []string
		program    string
		line       string
	}{
		{"a program", `C:\rev\stop.exe`, nil, `C:\rev\stop.exe`, `C:\rev\stop.exe`},
		{"a program with a blank in its path", `C:\Program Files\x.EXE`, nil, `C:\Program Files\x.EXE`, `"C:\Program Files\x.EXE"`},
		{"arguments with quotes and backslashes", `C:\x.exe`, []string{`a b`, `say "hi"`, `C:\dir\`, `C:\a dir\`, ``, `\\"`}, `C:\x.exe`,
			`C:\x.exe "a b" "say \"hi\"" C:\dir\ "C:\a dir\\" "" "\\\\\""`},
		{"PowerShell", `C:\rev\a b\start.ps1`, nil, system + `\WindowsPowerShell\v1.0\powershell.exe`,
			system + `\WindowsPowerShell\v1.0\powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "C:\rev\a b\start.ps1"`},
		{"PowerShell with arguments", `C:\x.PS1`, []string{`-Name`, `a "b"`}, system + `\WindowsPowerShell\v1.0\powershell.exe`,
			system + `\WindowsPowerShell\v1.0\powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File C:\x.PS1 -Name "a \"b\""`},
		{"a batch file", `C:\rev\x.bat`, nil, system + `\cmd.exe`, system + `\cmd.exe /d /s /c ""C:\rev\x.bat""`},
		{"characters that mean something to cmd.exe", `C:\a & b^c (1)\x!.cmd`, []string{`1 > 2`, `a|b`}, system + `\cmd.exe`,
			system + `\cmd.exe /d /s /c ""C:\a & b^c (1)\x!.cmd" "1 > 2" "a|b""`},
		{"slashes", `C:/rev/x.bat`, nil, system + `\cmd.exe`, system + `\cmd.exe /d /s /c ""C:\rev\x.bat""`},
		{"dots in directories", `C:\v1.ps1\x.exe`, nil, `C:\v1.ps1\x.exe`, `C:\v1.ps1\x.exe`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			argv, line, err := lifecycle.WindowsLaunch(tc.file, tc.args, system)
			require.NoError(t, err)
			require.Equal(t, tc.program, argv[0])
			require.Equal(t, tc.line, line)
		})
	}
}

func TestWindowsRefusesWhatItCannotRun(t *testing.T) {
	for file, why := range map[string]string{
		`C:\rev\start`:      "its name has no extension",
		`C:\v1.0\start`:     "its name has no extension",
		`C:\rev\start.sh`:   "whose names end with .sh",
		`C:\100%\PATH%.bat`: "has a quote, a percent sign or a line end",
		"C:\\a\nb.cmd":      "has a quote, a percent sign or a line end",
		`C:\rev\x".bat`:     "has a quote, a percent sign or a line end",
	} {
		_, _, err := lifecycle.WindowsLaunch(file, nil, `C:\Windows\System32`)
		require.ErrorContains(t, err, why, file)
	}
	_, _, err := lifecycle.WindowsLaunch(`C:\x.bat`, []string{`%PATH%`}, `C:\Windows\System32`)
	require.ErrorContains(t, err, "which cmd.exe would take for something else")
}

func TestWindowsExitStatuses(t *testing.T) {
	require.Equal(t, "", lifecycle.WindowsExitHint(3))
	require.Contains(t, lifecycle.WindowsExitHint(9009), "did not find a command")
	require.Contains(t, lifecycle.WindowsExitHint(0xc0000005), "access violation")
	code := uint32(0xc000013a)
	require.Contains(t, lifecycle.WindowsExitHint(int(int32(code))), "Ctrl-C", "also where int has 32 bits")
}

func TestWindowsVariablesHaveNoCase(t *testing.T) {
	env := []string{"PATH=x", "systemroot=D:\\Win"}
	require.Equal(t, env, lifecycle.WithVar(env, "SystemRoot", `C:\Windows`))
	require.Equal(t, []string{"PATH=x", `SystemRoot=C:\Windows`}, lifecycle.WithVar(env[:1], "SystemRoot", `C:\Windows`))
}
