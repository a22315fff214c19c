package awserror_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/lifecycle"
)

// client is one of Systems Manager, whose calls have a fault.
func client(f awsfake.Fault) *ssm.Client {
	api := &awsfake.API{}
	awsfake.Handle(api, "SSM", "GetParameter", func(context.Context, *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
		return &ssm.GetParameterOutput{}, nil
	})
	api.Inject(func(awsfake.Call) awsfake.Fault { return f })
	return ssm.NewFromConfig(api.Config())
}

var question = &ssm.GetParameterInput{Name: aws.String("n")}

func TestCallThatDoesNotAnswerIsGivenUp(t *testing.T) {
	for _, f := range awsfake.Hangs() {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			_, err := awserror.Ask(t.Context(), client(f).GetParameter, question)
			require.Equal(t, awserror.Limit, time.Since(began))
			require.EqualError(t, err, "SSM GetParameter did not answer within 1m0s: look at the network between here and AWS")
			require.True(t, awserror.Retryable(err))
			require.Equal(t, lifecycle.Unknown, awserror.Meaning(err))
			require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's time is not over")
		})
	}
}

func TestWhatAnswersIsAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := awserror.Ask(t.Context(), client(awsfake.NoFault).GetParameter, question)
		require.NoError(t, err)
		require.NotNil(t, out)
		_, err = awserror.Ask(t.Context(), client(awsfake.AccessDenied).GetParameter, question)
		require.Equal(t, lifecycle.Denied, awserror.Meaning(err))
	})
}

// The caller's own end is none of the call's: it is reported as it always was.
func TestCallEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		began := time.Now()
		_, err := awserror.Ask(ctx, client(awsfake.Hang).GetParameter, question)
		require.Error(t, err)
		require.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, context.Cause(ctx), gone)
		_, hung := errors.AsType[*awserror.Hung](err)
		require.False(t, hung)
	})
}

// A call that waits for its turn in a queue of our own is not sent yet: that is no hang.
func TestTimeInTheQueueDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := awserror.Ask(t.Context(), func(ctx context.Context, _ *string, _ ...func(*string)) (*string, error) {
			goOn := awserror.Queued(ctx)
			time.Sleep(time.Hour)
			goOn()
			<-ctx.Done()
			return nil, ctx.Err()
		}, new(string))
		require.EqualError(t, err, "the call did not answer within 1m0s: look at the network between here and AWS")
		require.Equal(t, time.Hour+awserror.Limit, time.Since(began))
		awserror.Queued(t.Context())() // where nobody measures it does nothing
	})
}
