package throttle_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/throttle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Lambda that answers everything with nothing.
func world() *awsfake.API {
	api := &awsfake.API{}
	awsfake.Handle(api, "Lambda", "GetAlias", func(context.Context, *lambda.GetAliasInput) (*lambda.GetAliasOutput, error) {
		return &lambda.GetAliasOutput{}, nil
	})
	awsfake.Handle(api, "Lambda", "Invoke", func(context.Context, *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
		return &lambda.InvokeOutput{}, nil
	})
	awsfake.Handle(api, "S3", "ListBuckets", func(context.Context, *s3.ListBucketsInput) (*s3.ListBucketsOutput, error) {
		return &s3.ListBucketsOutput{}, nil
	})
	return api
}

func get(ctx context.Context, c *lambda.Client) error {
	_, err := c.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: aws.String("f"), Name: aws.String("live")})
	return err
}

// I9: however many deployments there are in a process, they share what AWS grants.
func TestI9_AllClientsOfAConfigShareABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, limits := world(), &throttle.Limits{}
		cfg := api.Config()
		limits.Attach(&cfg)
		limits.Attach(&cfg) // once is enough
		clients := []*lambda.Client{lambda.NewFromConfig(cfg), lambda.NewFromConfig(cfg)}
		began := time.Now()
		var all sync.WaitGroup
		for i := range 150 {
			all.Go(func() { require.NoError(t, get(t.Context(), clients[i%2])) })
		}
		all.Wait()
		require.Equal(t, 9*time.Second, time.Since(began), "15 at once, and 15 in each second after")
		c := limits.Counts()["Lambda.GetAlias"]
		require.Equal(t, 150, c.Sent)
		require.Equal(t, 135, c.Waited)
		for i, call := range api.Calls() {
			require.LessOrEqual(t, i, 15+int(15*call.At.Sub(began).Seconds()+0.001))
		}
	})
}

func TestRegionsHaveBucketsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, limits := world(), &throttle.Limits{}
		cfg := api.Config()
		limits.Attach(&cfg)
		here, there := lambda.NewFromConfig(cfg), lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.Region = "us-east-1" })
		began := time.Now()
		for range 15 {
			require.NoError(t, get(t.Context(), here))
			require.NoError(t, get(t.Context(), there))
		}
		require.Zero(t, time.Since(began))
	})
}

// G2: no longer than the step may wait, and then it says why.
func TestG2_NoWaitBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, limits := world(), &throttle.Limits{Rates: []throttle.Family{{Name: "slow", Service: "Lambda", Burst: 1, PerSecond: 0.1}}}
		cfg := api.Config()
		limits.Attach(&cfg)
		c := lambda.NewFromConfig(cfg)
		require.NoError(t, get(t.Context(), c))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := get(ctx, c)
		e, ok := errors.AsType[*lifecycle.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, lifecycle.Throttled, e.Code)
		require.Contains(t, e.Message, "Lambda.GetAlias")
		require.Zero(t, time.Since(began), "it does not wait for what cannot come")
		require.Len(t, api.Calls(), 1)
		require.Equal(t, throttle.Count{Sent: 1, Dropped: 1}, limits.Counts()["Lambda.GetAlias"])
		require.NoError(t, get(t.Context(), c))
		require.Equal(t, 10*time.Second, time.Since(began), "a token that nobody got is not lost")

		why := errors.New("enough")
		stop, cancel2 := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel2(why) })
		require.ErrorIs(t, get(stop, c), why)
	})
}

// A call that hangs is given up after a minute. That it waits here for longer is no reason.
func TestTheQueueIsNotHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, limits := world(), &throttle.Limits{Rates: []throttle.Family{{Name: "slow", Service: "Lambda", Burst: 1, PerSecond: 0.1}}}
		cfg := api.Config()
		limits.Attach(&cfg)
		c := lambda.NewFromConfig(cfg)
		began := time.Now()
		var all sync.WaitGroup
		for range 31 {
			all.Go(func() {
				_, err := awserror.Ask(t.Context(), c.GetAlias, &lambda.GetAliasInput{FunctionName: aws.String("f"), Name: aws.String("live")})
				require.NoError(t, err)
			})
		}
		all.Wait()
		require.Equal(t, 5*time.Minute, time.Since(began))
	})
}

func TestRefusalsSlowItDownAndItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, limits := world(), &throttle.Limits{}
		cfg := api.Config()
		limits.Attach(&cfg)
		c := lambda.NewFromConfig(cfg)
		// rate is how many calls go out in ten seconds when somebody wants as many as there can be.
		rate := func() int {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			before := len(api.Calls())
			for get(ctx, c) == nil {
			}
			return len(api.Calls()) - before
		}
		require.InDelta(t, 165, rate(), 2)
		api.Inject(awsfake.At(len(api.Calls()), awsfake.Throttle))
		time.Sleep(time.Second)
		slowed := rate()
		require.Less(t, slowed, 110, "half of it, and a little more each second")
		require.Greater(t, slowed, 30)
		require.Equal(t, 1, limits.Counts()["Lambda.GetAlias"].Throttled)
		time.Sleep(time.Minute)
		require.InDelta(t, 165, rate(), 2, "as before")
	})
}

// A storm of refusals does not bring it to a stop.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, limits := world(), &throttle.Limits{}
		cfg := api.Config()
		limits.Attach(&cfg)
		c := lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.RetryMaxAttempts = 10 })
		began := time.Now()
		api.Inject(func(call awsfake.Call) awsfake.Fault {
			if call.At.Sub(began) < 30*time.Second {
				return awsfake.Throttle
			}
			return awsfake.NoFault
		})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { require.NoError(t, get(t.Context(), c)) })
		}
		all.Wait()
		require.Less(t, len(api.Calls()), 150)
		require.Less(t, time.Since(began), 5*time.Minute)
	})
}

func TestWhatIsNotListedIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, limits := world(), &throttle.Limits{}
		cfg := api.Config()
		limits.Attach(&cfg)
		began := time.Now()
		for range 1000 {
			_, err := s3.NewFromConfig(cfg).ListBuckets(t.Context(), &s3.ListBucketsInput{})
			require.NoError(t, err)
			_, err = lambda.NewFromConfig(cfg).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f")})
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(began))
		require.Equal(t, throttle.Count{Sent: 1000}, limits.Counts()["S3.ListBuckets"])
	})
}
