package journaltest_test

import (
	"context"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
)

// A controller that crashes right after its second record was written.
func ExampleTap() {
	ctx := context.Background()
	tap := &journaltest.Tap{Journal: &journal.Memory{}, After: func(records []lifecycle.Record) error {
		if records[0].Seq == 2 {
			return fmt.Errorf("crash")
		}
		return nil
	}}
	log, err := tap.Open(ctx, "billing")
	if err != nil {
		fmt.Println(err)
		return
	}
	for seq := range int64(3) {
		err := log.Append(ctx, lifecycle.Record{Seq: seq + 1, Step: lifecycle.Step{Deployment: "d-1"}})
		fmt.Println(seq+1, err)
		if err != nil {
			break
		}
	}
	// Output:
	// 1 <nil>
	// 2 crash
}
