package journal_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

func ExampleFile() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	j := &journal.File{Dir: dir}

	group, err := j.Open(ctx, "billing")
	if err != nil {
		log.Fatal(err)
	}
	defer group.Close()
	_, err = j.Open(ctx, "billing")
	fmt.Println("a second controller is locked out:", errors.Is(err, journal.ErrLocked))

	step := lifecycle.Step{Deployment: "d-1", Unit: "web-1", Event: lifecycle.Install}
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	err = group.Append(ctx,
		lifecycle.Record{Seq: 1, Time: now, Kind: lifecycle.Started, Step: step},
		lifecycle.Record{Seq: 2, Time: now, Kind: lifecycle.Ended, Step: step})
	if err != nil {
		log.Fatal(err)
	}
	for r, err := range j.Reader("billing").Records(ctx, "d-1", 1) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Seq, r.Kind, r.Step)
	}
	// Output:
	// a second controller is locked out: true
	// 1 started d-1: Install on web-1
	// 2 ended d-1: Install on web-1
}
