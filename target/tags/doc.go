// Package tags chooses hosts by tags, with CodeDeploy's rules. It is pure: tags go
// in, yes or no comes out.
//
// A [Filter] asks for a key, a value or both. A deployment group has either plain
// filters, of which any may match, or tag groups: inside a [Group] any filter may
// match, and all groups have to. A [Selection] holds one or the other:
//
//	prod, err := tags.Parse("env=prod, env=canary; role=web") // (prod or canary) and web
//	prod.Match(map[string]string{"env": "prod", "role": "web"})
//
// # Rules
//
//   - Case matters, and * is a character like any other: CodeDeploy's console shows
//     wildcards, its interface has none.
//   - A selection that says nothing chooses nothing. All hosts of an account by
//     mistake are one mistake too many.
//   - The limits are CodeDeploy's: 10 filters, 3 groups of 10 filters, keys of 128
//     and values of 256 characters. [Selection.Check] tells all that is wrong.
package tags
