package onprem

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// place is one machine to log in to, with all that is known about how.
type place struct {
	address    string // host:port, to dial
	name       string // host:port, as its key is known
	user       string
	keys       []string
	agent      string
	only       bool // of the agent's keys those that keys names, and no others
	knownHosts []string
	jump       []string
}

// resolve works out how an address is reached: what Access says counts, then the
// ssh_config, then what is usual.
func (a *Access) resolve(address string, jump []string) (place, error) {
	who, host, port := splitAddress(address)
	if host == "" {
		return place{}, fmt.Errorf("the address %q names no host", address)
	}
	c, err := a.readConfig(host)
	if err != nil {
		return place{}, err
	}
	p := place{
		user: first(who, a.User, c.get("User")), agent: first(a.Agent, c.path("IdentityAgent")),
		keys: a.Keys, knownHosts: a.KnownHosts, jump: jump,
	}
	if jump == nil {
		p.jump = a.Jump
	}
	if p.user == "" {
		if p.user, err = ownName(); err != nil {
			return place{}, err
		}
	}
	if len(p.keys) == 0 {
		p.keys, p.only = c.keys(), strings.EqualFold(c.get("IdentitiesOnly"), "yes")
	}
	if len(p.knownHosts) == 0 {
		p.knownHosts = c.knownHosts()
	}
	if j := c.get("ProxyJump"); p.jump == nil && j != "" && j != "none" {
		p.jump = strings.Split(j, ",")
	}
	port = first(port, c.get("Port"), "22")
	name := first(c.get("HostKeyAlias"), c.hostName(host))
	p.address, p.name = net.JoinHostPort(c.hostName(host), port), net.JoinHostPort(name, port)
	if command := c.get("ProxyCommand"); command != "" && command != "none" {
		return place{}, fmt.Errorf("%s: %s has ProxyCommand, which is not supported: use ProxyJump", a.Config, host)
	}
	return p, nil
}

// splitAddress takes user@host:port apart; a part that is not there is empty.
func splitAddress(s string) (who, host, port string) {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		who, s = s[:i], s[i+1:]
	}
	s = strings.TrimPrefix(s, "ssh://")
	if h, p, err := net.SplitHostPort(s); err == nil {
		return who, h, p
	}
	return who, strings.Trim(s, "[]"), ""
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func ownName() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("nobody says who logs in: set Access.User: %w", err)
	}
	return u.Username, nil
}

// config is an ssh_config as it is for one host.
type config struct {
	file *ssh_config.Config // nil: none
	host string
}

func (a *Access) readConfig(host string) (config, error) {
	c := config{host: host}
	if a.Config == "" {
		return c, nil
	}
	f, err := os.Open(expandHome(a.Config))
	if err != nil {
		return c, fmt.Errorf("Access.Config: %w", err)
	}
	defer f.Close()
	if c.file, err = ssh_config.Decode(f); err != nil {
		return c, fmt.Errorf("%s cannot be read (%w); lines with Match other than \"all\" are not understood: use a file without them, or set the fields of Access", a.Config, err)
	}
	return c, nil
}

func (c config) get(key string) string {
	if c.file == nil {
		return ""
	}
	v, err := c.file.Get(c.host, key)
	if err != nil {
		return ""
	}
	return strings.Trim(v, `"`)
}

func (c config) hostName(host string) string {
	if name := c.get("HostName"); name != "" {
		return c.expand(name)
	}
	return host
}

// keys are the files that the configuration names, or else those that OpenSSH looks for.
func (c config) keys() []string {
	if c.file == nil || c.get("IdentityFile") != "" {
		return c.paths("IdentityFile")
	}
	return []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}
}

// knownHosts are the files that the configuration names, or else those that OpenSSH
// looks for, as far as they are there.
func (c config) knownHosts() (found []string) {
	if c.file == nil {
		return nil
	}
	user, system := []string{"~/.ssh/known_hosts"}, []string{"/etc/ssh/ssh_known_hosts"}
	if c.get("UserKnownHostsFile") != "" {
		user = c.paths("UserKnownHostsFile")
	}
	if c.get("GlobalKnownHostsFile") != "" {
		system = c.paths("GlobalKnownHostsFile")
	}
	for _, list := range append(user, system...) {
		for _, file := range strings.Fields(list) {
			if _, err := os.Stat(expandHome(file)); err == nil {
				found = append(found, expandHome(file))
			}
		}
	}
	return found
}

func (c config) path(key string) string {
	if v := c.get(key); v != "none" && v != "SSH_AUTH_SOCK" {
		return expandHome(c.expand(v))
	}
	return ""
}

func (c config) paths(key string) (list []string) {
	if c.file == nil {
		return nil
	}
	all, err := c.file.GetAll(c.host, key)
	if err != nil {
		return nil
	}
	for _, v := range all {
		if v = strings.Trim(v, `"`); v != "none" && v != "" {
			list = append(list, expandHome(c.expand(v)))
		}
	}
	return list
}

// expand replaces the tokens that OpenSSH knows, as far as they can be known here.
func (c config) expand(s string) string {
	home, _ := os.UserHomeDir()
	own, _ := ownName()
	return strings.NewReplacer("%%", "%", "%h", c.host, "%d", home, "%u", own, "%i", strconv.Itoa(os.Getuid())).Replace(s)
}

func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}
