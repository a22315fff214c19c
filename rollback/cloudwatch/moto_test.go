package cloudwatch_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
)

// Over the wire. The emulator does not speak the protocol that the SDK speaks to
// CloudWatch now, so the client is given an older one; and it has no composite alarms.
func TestOverTheWire(t *testing.T) {
	server := moto.Start(t)
	c := awscloudwatch.NewFromConfig(server.Config(), func(o *awscloudwatch.Options) {
		o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801)
	})
	put := func(name string, s types.StateValue) {
		_, err := c.PutMetricAlarm(t.Context(), &awscloudwatch.PutMetricAlarmInput{AlarmName: &name, Namespace: aws.String("test"), MetricName: aws.String("m"),
			EvaluationPeriods: aws.Int32(1), Period: aws.Int32(60), Threshold: aws.Float64(1), Statistic: types.StatisticSum, ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold})
		require.NoError(t, err)
		_, err = c.SetAlarmState(t.Context(), &awscloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: s, StateReason: aws.String("test")})
		require.NoError(t, err)
	}
	put("fine", types.StateValueOk)
	put("fires", types.StateValueAlarm)
	a := &cloudwatch.Alarms{Client: c, Names: []string{"fine", "fires", "deleted"}}
	watch := rollback.Watch{Alarms: a.List()}
	rs := watch.Read(t.Context())
	require.Equal(t, rollback.AlarmOK, rs[0].State)
	require.Equal(t, rollback.AlarmFiring, rs[1].State)
	require.ErrorContains(t, rs[2].Err, "there is no alarm")
	put("fires", types.StateValueOk)
	require.Equal(t, rollback.AlarmOK, watch.Read(t.Context())[1].State)
}
