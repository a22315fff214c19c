package iam_test

import (
	"fmt"

	"github.com/cutover-deploy/cutover/target/iam"
)

// A policy that allows to change one service, to look at all, and to make task sets in
// one cluster only.
func Example() {
	arn := "arn:aws:ecs:eu-central-1:123456789012:"
	fmt.Println(iam.PolicyOf(
		iam.Allow("Change", []string{arn + "service/main/web"}, "ecs:UpdateService"),
		iam.AllowOnAny("MakeTaskSets", "ecs:CreateTaskSet").When("ArnEquals", "ecs:cluster", arn+"cluster/main"),
	))
	// Output:
	// {
	//   "Version": "2012-10-17",
	//   "Statement": [
	//     {
	//       "Sid": "Change",
	//       "Effect": "Allow",
	//       "Action": [
	//         "ecs:UpdateService"
	//       ],
	//       "Resource": [
	//         "arn:aws:ecs:eu-central-1:123456789012:service/main/web"
	//       ]
	//     },
	//     {
	//       "Sid": "MakeTaskSets",
	//       "Effect": "Allow",
	//       "Action": [
	//         "ecs:CreateTaskSet"
	//       ],
	//       "Resource": [
	//         "*"
	//       ],
	//       "Condition": {
	//         "ArnEquals": {
	//           "ecs:cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
	//         }
	//       }
	//     }
	//   ]
	// }
}
