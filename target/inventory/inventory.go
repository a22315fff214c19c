package inventory

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/cutover-deploy/cutover/target/tags"
)

// Host is one host of the file, with the defaults filled in.
type Host struct {
	Name    string            `json:"name"`
	Address string            `json:"address"`        // host name or IP address; where the file has none: the name
	User    string            `json:"user,omitempty"` // who logs in; empty: not said
	Port    int               `json:"port,omitempty"` // zero: not said
	Zone    string            `json:"zone,omitempty"` // empty: none
	OS      string            `json:"os,omitempty"`   // linux, darwin or windows; empty: not said
	Jump    []string          `json:"jump,omitempty"` // hosts to go through, user@host:port, the first one first; nil: not said; empty: none
	Tags    map[string]string `json:"tags,omitempty"`
	Pos     Pos               `json:"-"` // of the name
}

// Login is how the host is reached, as user@address:port; what is not said is left
// out.
func (h Host) Login() string {
	login := h.Address
	switch {
	case h.Port != 0:
		login = net.JoinHostPort(h.Address, strconv.Itoa(h.Port))
	case strings.Contains(login, ":"):
		login = "[" + login + "]"
	}
	if h.User != "" {
		login = h.User + "@" + login
	}
	return login
}

// Group is a named selection of the file.
type Group struct {
	Name string         `json:"name"`
	Tags tags.Selection `json:"tags"`
	Pos  Pos            `json:"-"` // of the name
}

// Inventory is what a file says, in its order.
type Inventory struct {
	Hosts  []Host  `json:"hosts"`
	Groups []Group `json:"groups,omitempty"`
}

// Select returns the hosts with matching tags, in the order of the file. A selection
// that says nothing chooses nothing; all hosts are in Hosts.
func (inv *Inventory) Select(s tags.Selection) []Host {
	var hosts []Host
	for _, h := range inv.Hosts {
		if s.Match(h.Tags) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// Group returns the hosts of a group of the file. That the file has no such group is
// an error; that nothing matches is not: the engine refuses a group without units.
func (inv *Inventory) Group(name string) ([]Host, error) {
	names := make([]string, len(inv.Groups))
	for i, g := range inv.Groups {
		if g.Name == name {
			return inv.Select(g.Tags), nil
		}
		names[i] = g.Name
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("inventory: there is no group %q: the file has no groups", name)
	}
	return nil, fmt.Errorf("inventory: there is no group %q; the file has %s", name, strings.Join(names, ", "))
}

// ReadFile reads an inventory file; its name is used in positions.
func ReadFile(name string) (*Inventory, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	defer f.Close()
	return Read(name, f)
}
