package tags_test

import (
	"fmt"

	"github.com/cutover-deploy/cutover/target/tags"
)

// Two groups: an environment out of two, and the role.
func Example() {
	sel, err := tags.Parse("env=prod, env=canary; role=web")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sel)
	fmt.Println(sel.Match(map[string]string{"env": "canary", "role": "web"}))
	fmt.Println(sel.Match(map[string]string{"env": "prod", "role": "db"}))

	_, err = tags.Parse("a; b; c; d")
	fmt.Println(err)
	// Output:
	// env=prod, env=canary; role=web
	// true
	// false
	// there are 4 tag groups; at most 3 are allowed
}
