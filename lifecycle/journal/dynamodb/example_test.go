package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/dynamodb"
)

// Two controllers, one group. The table is played by the test; a program gives the
// SDK's client.
func ExampleJournal() {
	client := newTable().client()
	ctx := context.Background()
	j := &dynamodb.Journal{Client: client, Table: "deployments", Name: "ci, build 7"}
	group, err := j.Open(ctx, "billing")
	if err != nil {
		log.Fatal(err)
	}
	holder, err := j.Holder(ctx, "billing")
	fmt.Println("held by:", holder.Name, err)
	if err := group.Append(ctx, record("d-1", 1)); err != nil {
		log.Fatal(err)
	}

	operator := &dynamodb.Journal{Client: client, Table: "deployments", Name: "ann"}
	if err := operator.Unlock(ctx, "billing", holder.ID, "ann: build 7 hangs"); err != nil {
		log.Fatal(err)
	}
	err = group.Append(ctx, record("d-1", 2))
	fmt.Println("the first one writes no more:", errors.Is(err, journal.ErrLost))
	if err := group.Close(); err != nil {
		log.Fatal(err)
	}
	for r, err := range operator.Reader("billing").Records(ctx, "d-1", 1) {
		fmt.Println(r.Seq, r.Kind, err)
	}
	// Output:
	// held by: ci, build 7 <nil>
	// the first one writes no more: true
	// 1 ended <nil>
}

func ExamplePolicy() {
	fmt.Print(dynamodb.Policy("arn:aws:dynamodb:eu-central-1:123456789012:table/deployments"))
	// Output:
	// {
	//   "Version": "2012-10-17",
	//   "Statement": [
	//     {
	//       "Sid": "CutoverJournal",
	//       "Effect": "Allow",
	//       "Action": [
	//         "dynamodb:GetItem",
	//         "dynamodb:Query",
	//         "dynamodb:PutItem",
	//         "dynamodb:ConditionCheckItem"
	//       ],
	//       "Resource": "arn:aws:dynamodb:eu-central-1:123456789012:table/deployments"
	//     }
	//   ]
	// }
}
