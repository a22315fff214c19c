package lifecycle

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// launch is how a file is started.
type launch struct {
	argv []string // the program and its arguments
	line string   // Windows: argv as one command line, since programs differ in how they take it apart
}

// errNotRunnable: the system has no way to run such a file.
var errNotRunnable = errors.New("not a kind of file that can be run")

// powershellArgs let a script run whatever the machine's policy and profile say, and
// without anybody to ask. -File takes the script's own exit status.
var powershellArgs = []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"}

// windowsLaunch says how Windows starts a file, by what its name ends with. System is
// the directory of the system's programs, such as C:\Windows\System32.
func windowsLaunch(file string, args []string, system string) (launch, error) {
	file = strings.ReplaceAll(file, "/", `\`)
	switch kind := strings.ToLower(path.Ext(strings.ReplaceAll(file, `\`, "/"))); kind {
	case ".exe", ".com":
		return launchOf(file, args...), nil
	case ".ps1":
		shell := system + `\WindowsPowerShell\v1.0\powershell.exe`
		return launchOf(shell, append(append(powershellArgs[:len(powershellArgs):len(powershellArgs)], file), args...)...), nil
	case ".bat", ".cmd":
		return batch(system+`\cmd.exe`, append([]string{file}, args...))
	case "":
		return launch{}, fmt.Errorf("%w: its name has no extension, and Windows goes by that; name it .ps1, .bat, .cmd, .exe or .com", errNotRunnable)
	default:
		return launch{}, fmt.Errorf("%w: Windows does not run files whose names end with %s by themselves; use .ps1, .bat, .cmd, .exe or .com", errNotRunnable, kind)
	}
}

// launchOf is for programs that take their command line apart by the usual rules.
func launchOf(program string, args ...string) launch {
	l := launch{argv: append([]string{program}, args...)}
	words := make([]string, len(l.argv))
	for i, a := range l.argv {
		words[i] = quoteWord(a)
	}
	l.line = strings.Join(words, " ")
	return l
}

// batch is for cmd.exe, which has rules of its own: /s takes the first and the last
// quote away and leaves the rest as it is, /d leaves out what the registry says. In
// quotes everything stands for itself but a quote and a percent sign, which begins the
// name of a variable; nothing protects from those.
func batch(shell string, words []string) (launch, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsAny(w, "\"%\r\n") {
			return launch{}, fmt.Errorf("%w: %q has a quote, a percent sign or a line end, which cmd.exe would take for something else; rename it, or use a .ps1 script", errNotRunnable, w)
		}
		quoted[i] = `"` + w + `"`
	}
	line := strings.Join(quoted, " ")
	return launch{argv: append([]string{shell, "/d", "/s", "/c"}, words...), line: quoteWord(shell) + ` /d /s /c "` + line + `"`}, nil
}

// quoteWord writes an argument so that CommandLineToArgvW, and with it most programs,
// reads it as it is: backslashes count twice before a quote and nowhere else.
func quoteWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\n\v\"") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for i := range len(s) {
		switch s[i] {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteByte(s[i])
	}
	b.WriteString(strings.Repeat(`\`, slashes))
	b.WriteByte('"')
	return b.String()
}

// windowsExits explains exit statuses that Windows gives a meaning.
var windowsExits = map[uint32]string{
	9009:       "cmd.exe did not find a command; check its name and PATH",
	0xc0000005: "it crashed (access violation)",
	0xc00000fd: "it crashed (stack overflow)",
	0xc0000135: "a library that it needs was not found",
	0xc0000142: "a library that it needs could not be set up",
	0xc000013a: "it was ended from a console (Ctrl-C)",
	0xc0000409: "it crashed (it found its own memory damaged)",
}

// windowsExitHint is empty for a status of the program's own.
func windowsExitHint(code int) string {
	if text := windowsExits[uint32(code)]; text != "" {
		return ": " + text
	}
	return ""
}

// withVar adds a variable to an environment unless it is there; Windows does not mind
// the case of names.
func withVar(env []string, name, value string) []string {
	for _, v := range env {
		if have, _, _ := strings.Cut(v, "="); strings.EqualFold(have, name) {
			return env
		}
	}
	return append(env[:len(env):len(env)], name+"="+value)
}
