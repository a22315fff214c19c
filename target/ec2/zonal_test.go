package ec2_test

import (
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/require"

	fakecloudwatch "github.com/cutover-deploy/cutover/internal/awsfake/cloudwatch"
	"github.com/cutover-deploy/cutover/internal/awsfake/ec2world"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/rollback/cloudwatch"
	"github.com/cutover-deploy/cutover/strategy"
)

// Zone by zone, with an alarm that fires while the second zone is monitored: the third
// is not touched, and the two go back.
func TestZonesWithAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.tagged(9)
		alarms := fakecloudwatch.New(w.API)
		alarms.Set("errors", types.StateValueOk)
		d := w.deployment(t, w.fleet(webTag), strategy.InPlace{Minimum: strategy.Minimum{Count: 7}})
		zonal := w.deployment(t, w.fleet(webTag), strategy.InPlace{Minimum: strategy.Minimum{Count: 6},
			Zonal: &strategy.Zonal{Monitor: 10 * time.Minute, FirstMonitor: 30 * time.Minute, Minimum: strategy.Minimum{Count: 1}}})
		zonal.Journal, zonal.Revision = d.Journal, revision.Dir(revisionOf(t, "two", "exit 0"))
		zonal.Rollback.OnAlarm = true
		watch := &cloudwatch.Alarms{Client: sdk.NewFromConfig(w.API.Config()), Names: []string{"errors"}}
		zonal.Watch = rollback.Watch{Alarms: watch.List()}

		fewest := w.run(t, func() {
			res, err := d.Run(t.Context()) // there is something to go back to
			require.NoError(t, err)
			require.Equal(t, "Succeeded", string(res.Status))
			first := len(w.hosts.Done())

			began := time.Now()
			time.AfterFunc(38*time.Minute, func() { alarms.Set("errors", types.StateValueAlarm) })
			res, err = zonal.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, "map[Skipped:3 Succeeded:6]", statuses(res), "%+v", res.Failure)
			require.Contains(t, res.Failure.Message, "errors")
			require.NotNil(t, res.Rollback)
			require.Equal(t, "Succeeded", string(res.Rollback.Status))
			require.Greater(t, time.Since(began), 38*time.Minute)

			zones := map[string]bool{}
			for _, s := range w.hosts.Done()[first:] {
				m, _ := w.Machines.Get(s.Unit)
				zones[m.Zone] = true
			}
			require.Equal(t, map[string]bool{ec2world.Zones[0]: true, ec2world.Zones[1]: true}, zones)
		})
		require.GreaterOrEqual(t, fewest, 6)
	})
}
