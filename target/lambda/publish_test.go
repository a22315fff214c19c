package lambda_test

import (
	"testing"
	"testing/synctest"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/lambda"
)

func (w *world) publisher() *awslambda.Client { return awslambda.NewFromConfig(w.api.Config()) }

// G18: updates in progress are waited for, others' and our own; unchanged code keeps
// its version.
func TestG18_Publish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Settle = 20 * time.Second
		w.Busy("checkout", time.Minute)
		began := time.Now()
		v, err := lambda.Publish(t.Context(), w.publisher(), "checkout", lambda.Code{Zip: []byte("code 3")})
		require.NoError(t, err)
		require.Equal(t, "3", v)
		require.GreaterOrEqual(t, time.Since(began), 80*time.Second)
		for range 2 {
			v, err = lambda.Publish(t.Context(), w.publisher(), "checkout", lambda.Code{Zip: []byte("code 3")})
			require.NoError(t, err)
			require.Equal(t, "3", v)
		}
		require.Equal(t, 1, w.api.Counts()["Lambda.UpdateFunctionCode"])
		v, err = lambda.Publish(t.Context(), w.publisher(), "checkout", lambda.Code{Bucket: "releases", Key: "checkout.zip", Object: "v1", Description: "release 4"})
		require.NoError(t, err)
		require.Equal(t, "4", v)
		require.Equal(t, []string{"1", "2", "3", "4"}, w.Versions("checkout"))
	})
}

func TestPublishSweep(t *testing.T) {
	publish := func(t *testing.T, fault func(awsfake.Call) awsfake.Fault) (w *world, v string, err error) {
		w = newWorld(t)
		w.Settle = 20 * time.Second
		w.api.Inject(fault)
		v, err = lambda.Publish(t.Context(), w.publisher(), "checkout", lambda.Code{Zip: []byte("code 3")})
		return w, v, err
	}
	calls := 0
	synctest.Test(t, func(t *testing.T) {
		w, v, err := publish(t, nil)
		require.NoError(t, err)
		require.Equal(t, "3", v)
		calls = len(w.api.Calls())
	})
	for n := range calls {
		for _, f := range awsfake.Faults() {
			synctest.Test(t, func(t *testing.T) {
				w, v, err := publish(t, awsfake.At(n, f))
				if err != nil {
					require.NotEmpty(t, codeOf(err), "call %d, %s: %v", n, f, err)
					w.api.Inject(nil)
					v, err = lambda.Publish(t.Context(), w.publisher(), "checkout", lambda.Code{Zip: []byte("code 3")})
				}
				require.NoError(t, err, "call %d, %s", n, f)
				require.Equal(t, "3", v, "call %d, %s", n, f)
				require.Equal(t, []string{"1", "2", "3"}, w.Versions("checkout"), "call %d, %s: nothing is published twice", n, f)
			})
		}
	}
}

func TestPublishOfWhatSomebodyElseChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Settle = 20 * time.Second
		w.api.Inject(func(c awsfake.Call) awsfake.Fault {
			if c.Operation == "PublishVersion" {
				w.Publish("checkout", "code of somebody else")
			}
			return awsfake.NoFault
		})
		_, err := lambda.Publish(t.Context(), w.publisher(), "checkout", lambda.Code{Zip: []byte("code 3")})
		require.Equal(t, lifecycle.ExternalChange, codeOf(err), "%v", err)
	})
}

func TestPublishThatCannotBe(t *testing.T) {
	for name, tc := range map[string]struct {
		harm func(*world)
		code lambda.Code
		want lifecycle.Code
	}{
		"no code":                  {func(*world) {}, lambda.Code{}, lifecycle.RevisionInvalid},
		"an update never ends":     {func(w *world) { w.Busy("checkout", 100*time.Hour) }, lambda.Code{Zip: []byte("x")}, lifecycle.TimedOut},
		"the last update failed":   {func(w *world) { w.FailUpdates("checkout") }, lambda.Code{Zip: []byte("x")}, lifecycle.TargetFailed},
		"nobody may":               {func(w *world) { w.api.Inject(func(awsfake.Call) awsfake.Fault { return awsfake.AccessDenied }) }, lambda.Code{Zip: []byte("x")}, lifecycle.Denied},
		"too many requests":        {func(w *world) { w.api.Inject(func(awsfake.Call) awsfake.Fault { return awsfake.Throttle }) }, lambda.Code{Zip: []byte("x")}, lifecycle.Throttled},
		"it does not know a state": {func(w *world) { w.api.Inject(func(awsfake.Call) awsfake.Fault { return awsfake.UnknownEnum }) }, lambda.Code{Zip: []byte("x")}, lifecycle.TimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tc.harm(w)
				_, err := lambda.Publish(t.Context(), w.publisher(), "checkout", tc.code)
				require.Equal(t, tc.want, codeOf(err), "%v", err)
				require.Equal(t, []string{"1", "2"}, w.Versions("checkout"))
			})
		})
	}
}
