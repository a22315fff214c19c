package agent

import (
	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// account is who a script runs as: the user that it names, root if it says sudo
// and names none, else (nil) the account of this process.
func account(s appspec.Script) (*lifecycle.Account, error) {
	switch {
	case s.RunAs != nil:
		return lifecycle.LookupAccount(*s.RunAs)
	case s.Sudo:
		return lifecycle.LookupAccount("root")
	}
	return nil, nil
}

// usable finds the account of a script and makes sure that it can get at the
// script, which will lie in dir and is in archive now.
func usable(s appspec.Script, archive, dir string) error {
	who, err := account(s)
	if err != nil || who == nil {
		return err
	}
	why := barred(who, dir, scriptPath(archive, s.Location))
	if why == "" {
		return nil
	}
	return &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.RunAsInvalid,
		Message: "runas " + who.Name + ": " + why}}
}
