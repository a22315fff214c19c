package throttle_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/cutover-deploy/cutover/target/throttle"
)

// All clients of one configuration share what the account may do.
func Example() {
	cfg := world().Config() // config.LoadDefaultConfig, for AWS itself
	limits := &throttle.Limits{}
	limits.Attach(&cfg)

	client := lambda.NewFromConfig(cfg)
	_, err := client.GetAlias(context.Background(), &lambda.GetAliasInput{FunctionName: aws.String("checkout"), Name: aws.String("live")})
	fmt.Println(err, limits.Counts()["Lambda.GetAlias"].Sent)
	// Output:
	// <nil> 1
}
