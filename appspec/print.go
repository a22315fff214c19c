package appspec

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/internal/lazyregexp"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// Format is a notation of an AppSpec.
type Format string

// The formats.
const (
	YAML Format = "yaml"
	JSON Format = "json"
)

// Print writes the Spec in canonical form: sections and keys in the order of
// CodeDeploy's reference, entries in their own, defaults left out, quotes only
// where text would be read as something else. Parsing what it wrote gives the same
// Spec, but for the places. It fails for a Spec that no text can say, which none is
// that [Parse] returned without an error.
func Print(s *Spec, f Format) ([]byte, error) {
	d, err := document(s)
	if err != nil {
		return nil, err
	}
	switch f {
	case YAML:
		var b strings.Builder
		d.yaml(&b, "")
		return []byte(b.String()), nil
	case JSON:
		var b strings.Builder
		writeJSON(&b, d, "")
		b.WriteByte('\n')
		return []byte(b.String()), nil
	}
	return nil, fmt.Errorf("appspec: unknown format %s: want yaml or json", quote(string(f)))
}

// Convert reads an AppSpec in either notation and prints it in another. Comments
// and what the AppSpec does not mean (unknown keys) are not carried over; the
// warnings name the latter. Errors are those of [Parse].
func Convert(name string, data []byte, to Format, opt Options) ([]byte, []*Problem, error) {
	spec, warnings, err := Parse(name, data, opt)
	if err != nil {
		return nil, warnings, err
	}
	out, err := Print(spec, to)
	return out, warnings, err
}

// object is a mapping in order. Its values are string, literal, list or object.
type object []member

type member struct {
	key string
	val any
}

type list []any

// literal is written as it is: a number or a truth value.
type literal string

func (o *object) add(key string, val any) { *o = append(*o, member{key, val}) }

// set adds text that is not empty.
func (o *object) set(key, val string) {
	if val != "" {
		o.add(key, val)
	}
}

// document turns a Spec into what is written.
func document(s *Spec) (object, error) {
	d := object{{"version", literal("0.0")}}
	var err error
	switch s.Platform {
	case lifecycle.Server:
		d, err = serverDocument(s, d)
	case lifecycle.ECS, lifecycle.Lambda:
		d, err = resourceDocument(s, d)
	default:
		return nil, fmt.Errorf("appspec: unknown platform %s", quote(string(s.Platform)))
	}
	if err == nil {
		err = printable(d)
	}
	return d, err
}

func serverDocument(s *Spec, d object) (object, error) {
	d.add("os", s.OS)
	d.set("file_exists_behavior", string(s.FileExists))
	files := list{}
	for _, f := range s.Files {
		files = append(files, object{{"source", f.Source}, {"destination", f.Destination}})
	}
	if len(files) > 0 {
		d.add("files", files)
	}
	perms := list{}
	for _, p := range s.Permissions {
		perms = append(perms, permissionObject(p))
	}
	if len(perms) > 0 {
		d.add("permissions", perms)
	}
	hooks, err := hooksObject(s.Hooks)
	if len(hooks) > 0 {
		d.add("hooks", hooks)
	}
	return d, err
}

// reSudo is a number or text on one line.
var reSudo = lazyregexp.New(`^[-"\d][^\n]*$`)

func hooksObject(hooks []EventHooks) (object, error) {
	out := object{}
	for _, h := range hooks {
		if slices.ContainsFunc(out, func(m member) bool { return m.key == string(h.Event) }) {
			return nil, fmt.Errorf("appspec: the event %s is there twice", quote(string(h.Event)))
		}
		scripts := list{}
		for _, sc := range h.Scripts {
			o := object{{"location", sc.Location}}
			switch {
			case sc.Timeout <= 0 || sc.Timeout%time.Second != 0:
				return nil, fmt.Errorf("appspec: a time limit of %v is not whole seconds above 0", sc.Timeout)
			case sc.Timeout != DefaultTimeout:
				o.add("timeout", digits(int64(sc.Timeout/time.Second)))
			}
			if sc.RunAs != nil {
				o.add("runas", *sc.RunAs)
			}
			switch {
			case sc.SudoText != "" && (!sc.Sudo || !reSudo.MatchString(sc.SudoText) || !json.Valid([]byte(sc.SudoText))):
				return nil, fmt.Errorf("appspec: %s is no text or number for sudo", quote(sc.SudoText))
			case sc.SudoText != "":
				o.add("sudo", literal(sc.SudoText))
			case sc.Sudo:
				o.add("sudo", literal("true"))
			}
			scripts = append(scripts, o)
		}
		out.add(string(h.Event), scripts)
	}
	return out, nil
}

func permissionObject(p Permission) object {
	o := object{{"object", p.Object}}
	if p.Pattern != "**" {
		o.add("pattern", p.Pattern)
	}
	if len(p.Except) > 0 {
		o.add("except", texts(p.Except))
	}
	o.set("owner", p.Owner)
	o.set("group", p.Group)
	o.set("mode", p.ModeText)
	if p.ACLs != nil {
		acls := list{}
		for _, a := range p.ACLs {
			acls = append(acls, a.String())
		}
		o.add("acls", acls)
	}
	if c := p.Context; c != nil {
		context := object{}
		context.set("name", c.User)
		context.add("type", c.Type)
		context.set("range", c.Range)
		o.add("context", context)
	}
	if !slices.Equal(p.Types, []ObjectType{TypeFile, TypeDirectory}) {
		o.add("type", texts(p.Types))
	}
	return o
}

func texts[T ~string](in []T) list {
	out := make(list, len(in))
	for i, t := range in {
		out[i] = string(t)
	}
	return out
}

func digits(n int64) literal { return literal(fmt.Sprint(n)) }

func resourceDocument(s *Spec, d object) (object, error) {
	switch {
	case s.Platform == lifecycle.ECS && s.Service != nil:
		d.add("Resources", list{object{{s.Service.Name, object{{"Type", typeECS}, {"Properties", serviceObject(s.Service)}}}}})
	case s.Platform == lifecycle.Lambda && s.Function != nil:
		f := s.Function
		d.add("Resources", list{object{{f.Label, object{{"Type", typeLambda}, {"Properties", object{{"Name", f.Name}, {"Alias", f.Alias},
			{"CurrentVersion", f.CurrentVersion}, {"TargetVersion", f.TargetVersion}}}}}}})
	default:
		return nil, errors.New("appspec: the Spec has no resource of its platform")
	}
	hooks := list{}
	for _, h := range s.Functions {
		hooks = append(hooks, object{{string(h.Event), h.Function}})
	}
	if len(hooks) > 0 {
		d.add("Hooks", hooks)
	}
	return d, nil
}

func serviceObject(s *Service) object {
	var port any = digits(int64(s.ContainerPort))
	if s.PortText != "" {
		port = s.PortText
	}
	o := object{{"TaskDefinition", s.TaskDefinition},
		{"LoadBalancerInfo", object{{"ContainerName", s.ContainerName}, {"ContainerPort", port}}}}
	o.set("PlatformVersion", s.PlatformVersion)
	if n := s.Network; n != nil {
		o.add("NetworkConfiguration", object{{"AwsvpcConfiguration", object{{"Subnets", texts(n.Subnets)},
			{"SecurityGroups", texts(n.SecurityGroups)}, {"AssignPublicIp", n.AssignPublicIP}}}})
	}
	capacity := list{}
	for _, c := range s.Capacity {
		e := object{{"CapacityProvider", c.Name}}
		if c.Base != 0 {
			e.add("Base", digits(int64(c.Base)))
		}
		e.add("Weight", digits(int64(c.Weight)))
		capacity = append(capacity, e)
	}
	if len(capacity) > 0 {
		o.add("CapacityProviderStrategy", capacity)
	}
	return o
}
