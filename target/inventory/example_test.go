package inventory_test

import (
	"fmt"

	"github.com/cutover-deploy/cutover/target/inventory"
	"github.com/cutover-deploy/cutover/target/tags"
)

const fleet = `# The shop.
defaults:
  user: deploy
  jump: gate.example.com
  tags: {env: prod}
hosts:
  web-1: {address: 10.0.0.1, zone: a, tags: {role: web}}
  web-2: {address: 10.0.0.2, zone: b, tags: {role: web, env: canary}}
  db-1:  {address: "fd00::1", port: 2222, tags: {role: db}}
groups:
  web: "role=web; env=prod, env=canary"
`

// The hosts of a group, and those that some tags choose.
func Example() {
	inv, err := inventory.Parse("fleet.yml", []byte(fleet))
	if err != nil {
		fmt.Println(err)
		return
	}
	web, err := inv.Group("web")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range web {
		fmt.Println(h.Name, h.Login(), h.Zone, h.Jump)
	}
	for _, h := range inv.Select(tags.Selection{Filters: tags.Group{{Key: "role", Value: "db"}}}) {
		fmt.Println(h.Name, h.Login(), h.Tags)
	}
	// Output:
	// web-1 deploy@10.0.0.1 a [gate.example.com]
	// web-2 deploy@10.0.0.2 b [gate.example.com]
	// db-1 deploy@[fd00::1]:2222 map[env:prod role:db]
}

// Every problem at once, each with its place.
func ExampleParse_problems() {
	_, err := inventory.Parse("fleet.yml", []byte(`hosts:
  web-1: {adress: 10.0.0.1, port: 99999}
  web-2: {address: "10.0.0.2:22"}
  web-2: {}
groups:
  web: {tagSet: [[{Key: role}], []]}
`))
	fmt.Println(err)
	// Output:
	// fleet.yml:2:11: hosts.web-1: unknown key "adress"; known are address, user, port, zone, os, jump, tags
	// fleet.yml:2:35: hosts.web-1.port: found "99999"; want a number from 1 to 65535
	// fleet.yml:3:20: hosts.web-2.address: found "10.0.0.2:22"; say the port as port:, and an IPv6 address without brackets
	// fleet.yml:4:3: hosts.web-2: is there twice, first in line 3; only one of them could count
	// fleet.yml:6:33: groups.web: tag group 2: there are 0 filters; 1 to 10 are allowed
}
