package command_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/target/command"
)

// A balancer whose state is a file for each host.
func ExampleTraffic() {
	dir, err := os.MkdirTemp("", "balancer")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "lb")
	text := "#!/bin/sh\nif [ $# = 2 ]; then echo $2 > $1; else cat $1; fi\n"
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		log.Fatal(err)
	}
	lb := &command.Traffic{Set: []string{program, "{unit}", "{weight}"}, Get: []string{program, "{unit}"}}
	ctx := context.Background()
	fmt.Println(lb.SetWeight(ctx, "web-1", 0))
	fmt.Println(lb.Weight(ctx, "web-1"))
	fmt.Println(lb.SetWeight(ctx, "web-1", 250))
	// Output:
	// <nil>
	// 0 <nil>
	// weight 250 of web-1: want 0 to 100
}
