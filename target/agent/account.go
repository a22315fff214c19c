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
