package lambda_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/awsfake/lambda"
)

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// What an update of an alias may say, as AWS documents it.
func TestUpdateAlias(t *testing.T) {
	weights := func(w map[string]float64) *types.AliasRoutingConfiguration {
		return &types.AliasRoutingConfiguration{AdditionalVersionWeights: w}
	}
	for name, tc := range map[string]struct {
		in   awslambda.UpdateAliasInput
		code string
		want lambda.Routing
	}{
		"nothing":                      {awslambda.UpdateAliasInput{}, "", lambda.Routing{"1": 0.75, "2": 0.25}},
		"a version keeps the weights":  {awslambda.UpdateAliasInput{FunctionVersion: aws.String("3")}, "", lambda.Routing{"3": 0.75, "2": 0.25}},
		"an empty map takes them away": {awslambda.UpdateAliasInput{RoutingConfig: weights(map[string]float64{})}, "", lambda.Routing{"1": 1}},
		"no map leaves them":           {awslambda.UpdateAliasInput{RoutingConfig: weights(nil)}, "", lambda.Routing{"1": 0.75, "2": 0.25}},
		"two further versions":         {awslambda.UpdateAliasInput{RoutingConfig: weights(map[string]float64{"2": 0.1, "3": 0.1})}, "InvalidParameterValueException", nil},
		"more than all":                {awslambda.UpdateAliasInput{RoutingConfig: weights(map[string]float64{"2": 1.5})}, "InvalidParameterValueException", nil},
		"a version that is not there":  {awslambda.UpdateAliasInput{FunctionVersion: aws.String("9")}, "ResourceNotFoundException", nil},
		"a weight for $LATEST":         {awslambda.UpdateAliasInput{RoutingConfig: weights(map[string]float64{"$LATEST": 0.1})}, "InvalidParameterValueException", nil},
		"an old revision":              {awslambda.UpdateAliasInput{FunctionVersion: aws.String("3"), RevisionId: aws.String("old")}, "PreconditionFailedException", nil},
	} {
		t.Run(name, func(t *testing.T) {
			api := &awsfake.API{}
			w := lambda.New(api)
			w.Create("f", "one")
			w.Publish("f", "two")
			w.Publish("f", "three")
			w.Point("f", "live", "1", map[string]float64{"2": 0.25})
			tc.in.FunctionName, tc.in.Name = aws.String(lambda.ARN("f", "")), aws.String("live")
			_, err := awslambda.NewFromConfig(api.Config()).UpdateAlias(t.Context(), &tc.in)
			require.Equal(t, tc.code, code(err), "%v", err)
			if err == nil {
				require.InDeltaMapValues(t, tc.want, w.Routing("f", "live"), 1e-9)
			}
		})
	}
}
