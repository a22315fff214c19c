//go:build unix

package lifecycle

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// LookupAccount finds the account that a script's runas names and checks that
// scripts can run as it, so that a deployment can refuse before it touches
// anything. Empty means root, as su reads it. It refuses, with a *Error of code
// RunAsInvalid, an unknown name, an account with a login shell that lets nobody in
// or does not exist, an expired account, and any account but our own unless this
// process is root. A locked password is no obstacle, as it is none to su.
func LookupAccount(name string) (*Account, error) {
	if name == "" {
		name = "root"
	}
	a, err := findAccount(name)
	if err != nil {
		return nil, err
	}
	if why := a.refusal(); why != "" {
		return nil, runAsInvalid(name, why)
	}
	return a, nil
}

// findAccount reads the account and its groups.
func findAccount(name string) (*Account, error) {
	u, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		return nil, runAsInvalid(name, "there is no such account on this host; create it or correct the AppSpec")
	}
	if err != nil {
		return nil, runAsInvalid(name, fmt.Sprintf("the account cannot be looked up: %v", err))
	}
	a := &Account{Name: u.Username, Home: u.HomeDir, Shell: loginShell(u.Username)}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, runAsInvalid(name, fmt.Sprintf("the groups of the account cannot be looked up: %v", err))
	}
	for i, text := range append([]string{u.Uid, u.Gid}, ids...) {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, runAsInvalid(name, fmt.Sprintf("id %q is not a number", text))
		}
		switch i {
		case 0:
			a.UID = uint32(id)
		case 1:
			a.GID = uint32(id)
		default:
			a.Groups = append(a.Groups, uint32(id))
		}
	}
	return a, nil
}

// Files of the account database, as far as it is in files.
const (
	passwdFile = "/etc/passwd"
	shadowFile = "/etc/shadow"
)

// dbField returns a field of the name's line in a colon-separated file.
func dbField(file, name string, field int) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Split(lines.Text(), ":"); fields[0] == name && len(fields) > field {
			return fields[field]
		}
	}
	return ""
}

// loginShell is the account's shell. Accounts kept elsewhere than in files get
// the plain one.
func loginShell(name string) string {
	if shell := dbField(passwdFile, name, 6); shell != "" {
		return shell
	}
	return plainShell
}

// closedShells let nobody in.
var closedShells = []string{"nologin", "false"}

// refusal says why scripts cannot run as the account; empty: they can.
func (a *Account) refusal() string {
	switch {
	case slices.Contains(closedShells, filepath.Base(a.Shell)):
		return "its login shell " + a.Shell + " lets nobody in; su refuses such an account; give it another shell or use another account"
	case !a.isOurs() && os.Geteuid() != 0:
		return fmt.Sprintf("only root can run scripts as somebody else; this process has uid %d", os.Geteuid())
	case expired(dbField(shadowFile, a.Name, 7)):
		return "the account has expired"
	}
	if _, err := os.Stat(a.Shell); err != nil {
		return "its login shell " + a.Shell + " does not exist on this host"
	}
	return ""
}

// isOurs says that running as the account needs no change of identity.
func (a *Account) isOurs() bool {
	return int64(a.UID) == int64(os.Geteuid()) && int64(a.GID) == int64(os.Getegid())
}
