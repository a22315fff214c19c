package appspec

import (
	"io/fs"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Spec is a parsed AppSpec. Defaults are filled in. It is plain data and, as
// JSON, survives a round trip: agents keep it in that form. OS to Permissions are
// for servers; ECS has a Service, Lambda a Function, and both have Functions.
type Spec struct {
	Platform    lifecycle.Platform `json:"platform"`
	OS          string             `json:"os,omitempty"`                   // "linux" or "windows"
	FileExists  FileExists         `json:"file_exists_behavior,omitempty"` // empty: the deployment decides
	Files       []File             `json:"files,omitempty"`
	Hooks       []EventHooks       `json:"hooks,omitempty"` // in file order
	Permissions []Permission       `json:"permissions,omitempty"`
	Service     *Service           `json:"service,omitempty"`
	Function    *Function          `json:"function,omitempty"`
	Functions   []FunctionHook     `json:"functions,omitempty"` // in file order, one for an event
}

// Scripts returns the scripts of an event in listed order; nil: none.
func (s *Spec) Scripts(e lifecycle.Event) []Script {
	for _, h := range s.Hooks {
		if h.Event == e {
			return h.Scripts
		}
	}
	return nil
}

// Pos is a place in the AppSpec's text, counted from 1; zero: unknown.
type Pos struct {
	Line int `json:"line,omitempty"`
	Col  int `json:"col,omitempty"`
}

// FileExists says what happens to a file that is in the way and that the group's
// previous deployment did not install.
type FileExists string

// The behaviours, in CodeDeploy's words.
const (
	Disallow  FileExists = "DISALLOW"
	Overwrite FileExists = "OVERWRITE"
	Retain    FileExists = "RETAIN"
)

// File is one entry of the files section.
type File struct {
	Source      string `json:"source"`      // relative to the revision; a leading slash means its root
	Destination string `json:"destination"` // always names a directory
	Pos         Pos    `json:"pos,omitzero"`
}

// EventHooks are the scripts of one lifecycle event.
type EventHooks struct {
	Event   lifecycle.Event `json:"event"`
	Scripts []Script        `json:"scripts"`
	Pos     Pos             `json:"pos,omitzero"`
}

// DefaultTimeout is the time limit of a script that names none (CodeDeploy: 3600 s).
const DefaultTimeout = time.Hour

// Script is one hook script.
type Script struct {
	Location string        `json:"location"`
	Timeout  time.Duration `json:"timeout"` // in nanoseconds in JSON; never zero after parsing
	// RunAs is the user to run as; nil: the agent's own. An empty text stays set
	// and means root, as su reads it.
	RunAs *string `json:"runas,omitempty"`
	// Sudo runs it as root (an undocumented key of the host agent). SudoText is what
	// was written, as JSON, where that is no truth value: 1 and "no" count as true.
	Sudo     bool   `json:"sudo,omitempty"`
	SudoText string `json:"sudo_text,omitempty"`
	Pos      Pos    `json:"pos,omitzero"`
}

// ObjectType is what a permission applies to.
type ObjectType string

// The object types.
const (
	TypeFile      ObjectType = "file"
	TypeDirectory ObjectType = "directory"
)

// Permission is one entry of the permissions section.
type Permission struct {
	Object  string       `json:"object"`
	Pattern string       `json:"pattern"` // default "**"
	Except  []string     `json:"except,omitempty"`
	Types   []ObjectType `json:"type"` // default both; empty matches nothing
	Owner   string       `json:"owner,omitempty"`
	Group   string       `json:"group,omitempty"`
	// Mode holds the permission bits and, as fs.ModeSetuid and so on, the special
	// ones; nil: leave. ModeText is what was written, padded to 3 digits.
	Mode     *fs.FileMode `json:"mode,omitempty"`
	ModeText string       `json:"mode_text,omitempty"`
	ACLs     []ACLEntry   `json:"acls,omitempty"`
	Context  *Context     `json:"context,omitempty"`
	Pos      Pos          `json:"pos,omitzero"`
}

// ACLEntry is one normalised POSIX ACL entry.
type ACLEntry struct {
	Default bool   `json:"default,omitempty"`
	Type    string `json:"type"`           // user, group, mask or other
	Name    string `json:"name,omitempty"` // empty: owner or owning group (default entries only), mask, other
	Perms   uint8  `json:"perms"`          // rwx bits, 0 to 7
}

// Context is an SELinux context.
type Context struct {
	User  string `json:"user,omitempty"` // from the key "name", as the host agent reads it
	Type  string `json:"type"`
	Range string `json:"range,omitempty"` // normalised, such as s0-s1:c0.c3
}

// Service is the change that a deployment makes to an ECS service.
type Service struct {
	Name           string `json:"name"`            // the resource's, by custom TargetService
	TaskDefinition string `json:"task_definition"` // ARN or family, with or without a revision
	ContainerName  string `json:"container_name"`
	// ContainerPort is 1 to 65535. PortText is a template's variable that stands
	// in its place, and then ContainerPort is zero.
	ContainerPort   int                `json:"container_port,omitempty"`
	PortText        string             `json:"container_port_text,omitempty"`
	PlatformVersion string             `json:"platform_version,omitempty"` // of Fargate; empty: LATEST
	Network         *Network           `json:"network,omitempty"`          // nil: as the service has it
	Capacity        []CapacityProvider `json:"capacity,omitempty"`         // none: as the service has it
	Pos             Pos                `json:"pos,omitzero"`
}

// Network is where the tasks of a service get their addresses.
type Network struct {
	Subnets        []string `json:"subnets"`
	SecurityGroups []string `json:"security_groups"`
	AssignPublicIP string   `json:"assign_public_ip"` // ENABLED or DISABLED
}

// CapacityProvider is one entry of a capacity provider strategy.
type CapacityProvider struct {
	Name   string `json:"name"`
	Base   int    `json:"base,omitempty"`
	Weight int    `json:"weight,omitempty"`
}

// Function is the change that a deployment makes to the alias of a Lambda function.
type Function struct {
	Label          string `json:"label"` // the resource's name in the file; means nothing
	Name           string `json:"name"`
	Alias          string `json:"alias"`
	CurrentVersion string `json:"current_version"`
	TargetVersion  string `json:"target_version"`
	Pos            Pos    `json:"pos,omitzero"`
}

// FunctionHook is the Lambda function that checks an ECS or Lambda deployment at
// an event.
type FunctionHook struct {
	Event    lifecycle.Event `json:"event"`
	Function string          `json:"function"` // name or ARN
	Pos      Pos             `json:"pos,omitzero"`
}
