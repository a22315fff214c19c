package main

import (
	"encoding/json"
	"time"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
)

type (
	object = map[string]any
	list   = []any
)

// normal is the AppSpec with all defaults filled in and null for what is absent.
func normal(s *appspec.Spec) object {
	out := object{"version": json.Number("0.0")}
	if s.Platform != lifecycle.Server {
		hooks := list{}
		for _, h := range s.Functions {
			hooks = append(hooks, object{"event": h.Event, "function": h.Function})
		}
		out["hooks"] = hooks
		if s.Platform == lifecycle.ECS {
			out["service"] = normalService(s.Service)
		} else if f := s.Function; f != nil {
			out["function"] = object{"label": f.Label, "name": f.Name, "alias": f.Alias, "current_version": f.CurrentVersion, "target_version": f.TargetVersion}
		}
		return out
	}
	files, hooks, permissions := list{}, list{}, list{}
	for _, f := range s.Files {
		files = append(files, object{"source": f.Source, "destination": f.Destination})
	}
	for _, h := range s.Hooks {
		scripts := list{}
		for _, c := range h.Scripts {
			sudo := any(nil)
			switch {
			case c.SudoText != "":
				sudo = json.RawMessage(c.SudoText)
			case c.Sudo:
				sudo = true
			}
			scripts = append(scripts, object{"location": c.Location, "runas": c.RunAs, "sudo": sudo, "timeout": int64(c.Timeout / time.Second)})
		}
		hooks = append(hooks, object{"event": h.Event, "scripts": scripts})
	}
	for _, p := range s.Permissions {
		permissions = append(permissions, normalPermission(p))
	}
	out["os"], out["file_exists_behavior"] = s.OS, orNull(string(s.FileExists))
	out["files"], out["hooks"], out["permissions"] = files, hooks, permissions
	return out
}

func normalPermission(p appspec.Permission) object {
	var acls, context any
	if p.ACLs != nil {
		entries := list{}
		for _, a := range p.ACLs {
			entries = append(entries, a.String())
		}
		acls = entries
	}
	if c := p.Context; c != nil {
		context = object{"user": orNull(c.User), "type": c.Type, "range": orNull(c.Range)}
	}
	return object{"object": p.Object, "pattern": p.Pattern, "except": append([]string{}, p.Except...), "type": p.Types,
		"owner": orNull(p.Owner), "group": orNull(p.Group), "mode": orNull(p.ModeText), "acls": acls, "context": context}
}

func normalService(s *appspec.Service) any {
	if s == nil {
		return nil
	}
	var port any = s.ContainerPort
	if s.PortText != "" {
		port = s.PortText
	}
	capacity := list{}
	for _, c := range s.Capacity {
		capacity = append(capacity, object{"name": c.Name, "base": c.Base, "weight": c.Weight})
	}
	return object{"name": s.Name, "task_definition": s.TaskDefinition, "container_name": s.ContainerName, "container_port": port,
		"platform_version": orNull(s.PlatformVersion), "network": s.Network, "capacity": capacity}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
