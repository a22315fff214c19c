package install

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// ids looks accounts up, each once.
type ids struct {
	euid, egid int
	groups     []int
	users      map[string]int
	groupIDs   map[string]int
	told       map[int]map[string]bool // by line of the AppSpec
}

func newIDs() *ids {
	i := &ids{euid: os.Geteuid(), egid: os.Getegid(), users: map[string]int{}, groupIDs: map[string]int{}, told: map[int]map[string]bool{}}
	i.groups, _ = os.Getgroups()
	return i
}

// fileOwner is who owns an installed file: whoever owns the bundle's copy if we
// may give files away, else ourselves.
func (i *ids) fileOwner(st stat) (uid, gid int) {
	if i.euid == 0 {
		return st.UID, st.GID
	}
	return i.euid, i.egid // -1 where there are no owners
}

// mayGive says whether we may give a file this owner (-1: unchanged).
func (i *ids) mayGive(uid, gid int) bool {
	if i.euid == 0 {
		return true
	}
	return (uid < 0 || uid == i.euid) && (gid < 0 || gid == i.egid || slices.Contains(i.groups, gid))
}

var errNoAccount = errors.New("not a name, not a number")

func (i *ids) user(name string) (int, error) {
	return lookup(i.users, name, func() (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

func (i *ids) group(name string) (int, error) {
	return lookup(i.groupIDs, name, func() (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// lookup finds a name, or takes a number for an id that needs no name.
func lookup(known map[string]int, name string, find func() (string, error)) (int, error) {
	if id, ok := known[name]; ok {
		return id, nil
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == ':' }) {
		return -1, errNoAccount
	}
	text, err := find()
	if err != nil {
		text = name
	}
	id, perr := strconv.ParseUint(text, 10, 31)
	if perr != nil {
		if err == nil {
			err = perr
		}
		return -1, err
	}
	known[name] = int(id)
	return int(id), nil
}
