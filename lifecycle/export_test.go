package lifecycle

// StepMark is for tests that look for what a step left.
var StepMark = stepMark

// The pure parts of what is done on Windows, for tests elsewhere.
var (
	WindowsExitHint = windowsExitHint
	WithVar         = withVar
)

// WindowsLaunch says how Windows starts a file.
func WindowsLaunch(file string, args []string, system string) (argv []string, line string, err error) {
	l, err := windowsLaunch(file, args, system)
	return l.argv, l.line, err
}
