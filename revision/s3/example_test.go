package s3_test

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/revision/s3"
)

// config stands for what config.LoadDefaultConfig of the SDK returns.
func config() aws.Config {
	api := &awsfake.API{}
	awsfake.Handle(api, "S3", "GetObject", func(_ context.Context, in *awss3.GetObjectInput) (*awss3.GetObjectOutput, error) {
		return &awss3.GetObjectOutput{Body: body("version: 0.0\nResources: []\n"), VersionId: aws.String("v7")}, nil
	})
	return api.Config()
}

// What is recorded of an object without a version names the version that came, and
// opens again with nothing but a client.
func Example() {
	dir := work()
	defer os.RemoveAll(dir)
	client := awss3.NewFromConfig(config())
	src := s3.Object{Client: client, Bucket: "releases", Key: "shop/appspec.yaml"}
	bundle, err := src.Open(context.Background(), dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	rev := bundle.Revision(src)
	fmt.Println(rev.Location)
	fmt.Println(rev.Location.Params["sha256"])

	again, err := revision.FromLocation(rev.Location, s3.Object{Client: client})
	fmt.Println(again.Location(), err)
	// Output:
	// s3://releases/shop/appspec.yaml?versionId=v7
	// 426c438f75111a1e66fbd2a9580f02d48f86cd406690e31f820816f657874f00
	// s3://releases/shop/appspec.yaml?versionId=v7 <nil>
}
