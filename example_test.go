//go:build unix

package cutover_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/onprem"
)

func Example() {
	dir, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		log.Fatal(err)
	}
	hosts, err := onprem.Locals(dir, 4) // four directories that stand for machines
	if err != nil {
		log.Fatal(err)
	}
	d := &cutover.Deployment{
		Group:    "web",
		Revision: revision.Dir("examples/onprem/revisions/1"),
		Target:   &target.Fleet{Hosts: hosts},
		Strategy: strategy.HalfAtATime(),
		Rollback: rollback.Policy{OnFailure: true},
		Journal:  &journal.File{Dir: filepath.Join(dir, "journal")},
	}
	result, err := d.Run(context.Background())
	if err != nil {
		log.Fatal(err) // refused, or abandoned: then d.Resume goes on
	}
	for _, u := range result.Units {
		fmt.Println(u.Unit, u.Status)
	}
	// Output:
	// host-1 Succeeded
	// host-2 Succeeded
	// host-3 Succeeded
	// host-4 Succeeded
}
