package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
)

// MaxBytes is how large a file may be: enough for 20,000 hosts with many tags.
const MaxBytes = 4 << 20

// Read reads an inventory; see [Parse].
func Read(name string, from io.Reader) (*Inventory, error) {
	data, err := io.ReadAll(io.LimitReader(from, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	return Parse(name, data)
}

// Parse reads the text of an inventory; name is used in positions. All problems are
// in the error, a *multierror.Error of *[Problem] in the order of the file. Parse
// does no I/O and keeps nothing of data.
func Parse(name string, data []byte) (*Inventory, error) {
	r := &reader{file: name}
	inv := r.inventory(data)
	if err := r.err(); err != nil {
		return nil, err
	}
	return inv, nil
}

func (r *reader) inventory(data []byte) *Inventory {
	root := r.document(data)
	if root == nil {
		return nil
	}
	inv, seen := &Inventory{}, map[string]*yaml.Node{}
	var defaults Host
	parts := r.mapping(root, "", []string{"defaults", "hosts", "groups"})
	if n := part(parts, "defaults"); n != nil {
		defaults = r.host(n, "defaults", defaultKeys, Host{})
	}
	hosts := part(parts, "hosts")
	for _, e := range r.mapping(hosts, "hosts", nil) {
		h := r.named(e, defaults)
		if first := seen[h.machine()]; first != nil {
			r.say(e.key, "hosts."+h.Name, "is at %s, where %s of line %d is already; a machine is deployed to once", h.machine(), first.Value, first.Line)
		}
		seen[h.machine()] = e.key
		inv.Hosts = append(inv.Hosts, h)
	}
	if len(r.problems) == 0 && len(inv.Hosts) == 0 {
		r.say(root, "", "there are no hosts; name them below hosts:")
	}
	for _, e := range r.mapping(part(parts, "groups"), "groups", nil) {
		inv.Groups = append(inv.Groups, r.group(e))
	}
	return inv
}

// machine is what makes two hosts one. Behind different jump hosts one address may be
// that of two machines.
func (h Host) machine() string {
	port := h.Port
	if port == 0 {
		port = 22
	}
	at := strings.ToLower(h.Address) + " port " + strconv.Itoa(port)
	if len(h.Jump) > 0 {
		at += " behind " + strings.Join(h.Jump, ", ")
	}
	return at
}

var lineOf = lazyregexp.New(`^(?:yaml: )?line (\d+): `)

// document reads the one document of the file.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > MaxBytes {
		r.say(nil, "", "the file is larger than %d bytes; split it", MaxBytes)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decode(dec, &doc)
	if errors.Is(err, io.EOF) || err == nil && (len(doc.Content) != 1 || null(doc.Content[0])) {
		r.say(nil, "", "the file is empty; name hosts below hosts:")
		return nil
	}
	if err == nil {
		if err = decode(dec, &second); errors.Is(err, io.EOF) {
			return doc.Content[0]
		}
	}
	if err == nil {
		r.say(&second, "", "a second document begins here and would not count; keep one in the file")
		return nil
	}
	text, at := err.Error(), &yaml.Node{}
	if m := lineOf.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1]) // digits, by the expression
		text = text[len(m[0]):]
	}
	r.say(at, "", "is no YAML: %s", strings.TrimPrefix(text, "yaml: "))
	return nil
}

// decode reads one document into nodes. That is not known to panic, unlike decoding
// into values; a panic would still be the input's fault.
func decode(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the reader cannot cope with it: %v", p)
		}
	}()
	return dec.Decode(into)
}

// entry is a pair of a mapping; its key is a text.
type entry struct{ key, val *yaml.Node }

func part(entries []entry, key string) *yaml.Node {
	for _, e := range entries {
		if e.key.Value == key {
			return e.val
		}
	}
	return nil
}

// mapping returns the entries of a mapping, the first of each key, and reports
// everything else. Known nil: any key. A missing part is an empty one.
func (r *reader) mapping(n *yaml.Node, path string, known []string) []entry {
	if n == nil || null(n) {
		return nil
	}
	if !r.plain(n, path) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.say(n, path, "found %s; want a mapping, lines such as %s", describe(n), wanted(known))
		return nil
	}
	var entries []entry
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		first := lines[k.Value]
		switch {
		case !r.plain(k, path):
		case k.Kind != yaml.ScalarNode || null(k):
			r.say(k, path, "found %s as a key; want a text", describe(k))
		case first != 0:
			r.say(k, join(path, k.Value), "is there twice, first in line %d; only one of them could count", first)
		case known != nil && !slices.Contains(known, k.Value):
			r.say(k, path, "unknown key %s; known are %s", found(k.Value), strings.Join(known, ", "))
		default:
			lines[k.Value] = k.Line
			entries = append(entries, entry{k, v})
		}
	}
	return entries
}

func wanted(known []string) string {
	if len(known) == 0 {
		return "NAME: …"
	}
	return known[0] + ": …"
}

// plain refuses what a list of hosts has no need of.
func (r *reader) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Kind == yaml.ScalarNode && n.Tag == "!!merge":
		r.say(n, path, "aliases and merge keys are not read; say it in defaults, or write it out")
	case n.Style&yaml.TaggedStyle != 0:
		r.say(n, path, "the YAML tag %s is not read; remove it", found(n.Tag))
	default:
		return true
	}
	return false
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case null(n):
		return "nothing"
	}
	return found(n.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
