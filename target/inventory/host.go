package inventory

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
	"github.com/cutover-deploy/cutover/target/tags"
)

var (
	defaultKeys = []string{"user", "port", "zone", "os", "jump", "tags"}
	hostKeys    = append([]string{"address"}, defaultKeys...)
	systems     = []string{"linux", "darwin", "windows"} // as Go calls them
)

var (
	// A name becomes a unit, and parts of paths.
	nameText = lazyregexp.New(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$`)
	hostText = lazyregexp.New(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9._])?$`)
	userText = lazyregexp.New(`^[^\s@:/\x00-\x1f\x7f]{1,100}$`)
	jumpText = lazyregexp.New(`^(?:([^\s@:/]+)@)?(\[[^\]\s]+\]|[^\s@:/\[\]]+)(?::(\d+))?$`)
)

// named reads one host of the list.
func (r *reader) named(e entry, defaults Host) Host {
	path := "hosts." + e.key.Value
	if !nameText.MatchString(e.key.Value) {
		path = "hosts"
		r.say(e.key, path, "found %s as a name; want 1 to 100 of letters, digits, dots, dashes and underscores, with a letter or digit first and last", found(e.key.Value))
	}
	h := r.host(e.val, path, hostKeys, defaults)
	h.Name, h.Pos = e.key.Value, place(e.key)
	if h.Address == "" {
		h.Address = h.Name
	}
	return h
}

// host reads the fields of a host over those that it starts from.
func (r *reader) host(n *yaml.Node, path string, known []string, h Host) Host {
	h.Tags = maps.Clone(h.Tags)
	for _, e := range r.mapping(n, path, known) {
		at := join(path, e.key.Value)
		switch e.key.Value {
		case "tags":
			r.tags(e.val, at, &h)
		case "jump":
			h.Jump = r.jump(e.val, at)
		default:
			if text, ok := r.text(e.val, at); ok {
				r.field(e, at, text, &h)
			}
		}
	}
	return h
}

// field reads a field that is one text.
func (r *reader) field(e entry, path, text string, h *Host) {
	switch e.key.Value {
	case "address":
		if why := wrongAddress(text); why != "" {
			r.say(e.val, path, "found %s; %s", found(text), why)
		}
		h.Address = text
	case "user":
		if !userText.MatchString(text) {
			r.say(e.val, path, "found %s; want the name of an account", found(text))
		}
		h.User = text
	case "port":
		port, err := strconv.Atoi(text)
		if err != nil || port < 1 || port > 65535 {
			r.say(e.val, path, "found %s; want a number from 1 to 65535", found(text))
		}
		h.Port = port
	case "zone":
		if text == "" || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }) {
			r.say(e.val, path, "found %s; want a name without blanks, or leave it out", found(text))
		}
		h.Zone = text
	case "os":
		if !slices.Contains(systems, text) {
			r.say(e.val, path, "found %s; want %s", found(text), strings.Join(systems, ", "))
		}
		h.OS = text
	}
}

// text is a scalar as it is written.
func (r *reader) text(n *yaml.Node, path string) (string, bool) {
	switch {
	case !r.plain(n, path):
		return "", false
	case n.Kind != yaml.ScalarNode || null(n):
		r.say(n, path, "found %s; want a text", describe(n))
		return "", false
	}
	return n.Value, true
}

// wrongAddress says what is wrong with an address; empty: nothing.
func wrongAddress(text string) string {
	_, err := netip.ParseAddr(text)
	switch {
	case err == nil || hostText.MatchString(text):
		return ""
	case strings.Contains(text, "@"):
		return "say who logs in as user:"
	case strings.Contains(text, ":"):
		return "say the port as port:, and an IPv6 address without brackets"
	}
	return "want the name or the IP address of a host"
}

// jump reads one host to go through, or a list of them.
func (r *reader) jump(n *yaml.Node, path string) []string {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode && r.plain(n, path) {
		list = n.Content
	}
	hops := []string{}
	for _, item := range list {
		text, ok := r.text(item, path)
		if !ok {
			continue
		}
		if m := jumpText.FindStringSubmatch(text); m == nil || m[3] != "" && !portOK(m[3]) {
			r.say(item, path, "found %s; want user@host:port, of which only host is needed, or [] for none", found(text))
		}
		hops = append(hops, text)
	}
	return hops
}

func portOK(text string) bool {
	port, err := strconv.Atoi(text)
	return err == nil && port >= 1 && port <= 65535
}

// tags adds tags to those that the host has from the defaults.
func (r *reader) tags(n *yaml.Node, path string, h *Host) {
	for _, e := range r.mapping(n, path, nil) {
		key, at, value := e.key.Value, join(path, e.key.Value), ""
		if !null(e.val) { // a key with nothing behind it is a tag without value
			text, ok := r.text(e.val, at)
			if !ok {
				continue
			}
			value = text
		}
		if c := utf8.RuneCountInString(key); c == 0 || c > tags.MaxKey {
			r.say(e.key, path, "the key of a tag has %d characters; 1 to %d are allowed", c, tags.MaxKey)
		}
		if c := utf8.RuneCountInString(value); c > tags.MaxValue {
			r.say(e.val, at, "the value has %d characters; at most %d are allowed", c, tags.MaxValue)
		}
		if h.Tags == nil {
			h.Tags = map[string]string{}
		}
		h.Tags[key] = value
	}
}
