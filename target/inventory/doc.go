// Package inventory reads files that list the hosts of a fleet: what CodeDeploy
// keeps of registered on-premises instances, in a file of your own.
//
//	defaults:
//	  user: deploy
//	  jump: gate.example.com
//	hosts:
//	  web-1: {address: 10.0.0.1, zone: a, tags: {env: prod, role: web}}
//	  web-2: {address: 10.0.0.2, zone: b, tags: {env: prod, role: web}}
//	  db-1:  {address: 10.0.1.1, port: 2222, tags: {env: prod, role: db}}
//	groups:
//	  web: "role=web; env=prod, env=canary"
//
// It is YAML, or the same as JSON. Start with [ReadFile] or [Parse], and choose with
// [Inventory.Select] by tags, or with [Inventory.Group] by a group of the file. What
// is done with a [Host] is up to the caller; [Host.Login] is how it is reached.
//
// # The file
//
// A host has address, user, port, zone, os, jump and tags; all of them may be left
// out. Its name is the id of the unit, so it has to stay the same in every
// deployment. What defaults says holds for hosts that do not say it themselves; tags
// are merged, one by one.
//
// A group is a selection by tags, with the rules and limits of CodeDeploy; see
// package tags. It is a text as [tags.Parse] reads it, or a mapping with filters or
// tagSet, in the form of CodeDeploy's JSON:
//
//	groups:
//	  web: {tagSet: [[{Key: role, Value: web}], [{Key: env, Value: prod}, {Key: env, Value: canary}]]}
//
// # Guarantees
//
// All problems are reported at once, each with file, line and column. What would be
// ignored is refused: unknown keys, keys given twice, a second document, two hosts
// at one address and port behind the same jump hosts. Values are taken as they are written, so a tag of 007 stays 007.
// Files are not trusted: their size is limited, and aliases are refused.
package inventory
