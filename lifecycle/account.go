package lifecycle

import "strings"

// Account is who a script runs as. Get one from [LookupAccount].
type Account struct {
	Name   string // for messages and LOGNAME
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary groups, all of them
	Home   string
	Shell  string
}

// AccountEnv returns a copy of vars with HOME, USER, LOGNAME and SHELL set to the
// account's, and all else kept, as su does without its login option. [Script.Run]
// does it by itself for a script with an Account.
func AccountEnv(a *Account, vars []string) []string {
	own := []string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=" + a.Shell}
	out := make([]string, 0, len(vars)+len(own)+1) // one more for the mark
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "HOME", "USER", "LOGNAME", "SHELL":
		default:
			out = append(out, v)
		}
	}
	return append(out, own...)
}

// runAsInvalid is the refusal of an account.
func runAsInvalid(name, why string) error {
	return &Error{Failure: Failure{Code: RunAsInvalid, Message: "runas " + name + ": " + why}}
}
