package cloud

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/throttle"
)

// Config is the configuration of clients for AWS, with the credentials that the SDK
// finds, or for an emulator at the endpoint. An empty region is as the SDK finds it.
func Config(ctx context.Context, region, endpoint string) (aws.Config, error) {
	var load []func(*config.LoadOptions) error
	if region != "" {
		load = append(load, config.WithRegion(region))
	}
	if endpoint != "" {
		load = append(load, config.WithBaseEndpoint(endpoint), config.WithDefaultRegion("us-east-1"),
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("emulator", "emulator", "")))
	}
	return config.LoadDefaultConfig(ctx, load...)
}

// EmulatedAlarms is a client of CloudWatch that speaks to emulators.
func EmulatedAlarms(cfg aws.Config) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(cfg, func(o *cloudwatch.Options) {
		o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801) // the one that they know
	})
}

// Calls says how many calls of the API there were.
func Calls(limits *throttle.Limits) string {
	counts := limits.Counts()
	var parts []string
	sent := 0
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		sent += counts[name].Sent
		parts = append(parts, fmt.Sprintf("%d %s", counts[name].Sent, name))
	}
	return fmt.Sprintf("%d API calls: %s", sent, strings.Join(parts, ", "))
}

// AppSpec reads the AppSpec of a directory.
func AppSpec(dir string, platform lifecycle.Platform) (*appspec.Spec, error) {
	name, _, err := appspec.Find(os.DirFS(dir), "")
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	spec, _, err := appspec.Parse(name, data, appspec.Options{Platform: platform})
	return spec, err
}
