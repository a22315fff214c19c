//go:build !unix

package lifecycle

// LookupAccount refuses: on this system scripts run as the account of this
// process and no other.
func LookupAccount(name string) (*Account, error) {
	return nil, runAsInvalid(name, "this system cannot run scripts as somebody else; remove runas")
}
