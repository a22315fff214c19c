package ec2_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/awsfake"
	"github.com/cutover-deploy/cutover/internal/killtest"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target/ec2"
)

// passes are faults that a deployment does not fail of.
var passes = map[awsfake.Fault]bool{awsfake.Throttle: true, awsfake.ServerError: true, awsfake.LostReply: true, awsfake.StaleRead: true,
	awsfake.Hang: true, awsfake.HungReply: true}

// Whatever is wrong with one call of AWS, nothing is left suspended, and success means
// what it says. What passes costs no host and no capacity.
func TestEveryFaultAtEveryCall(t *testing.T) {
	for name, c := range map[string]struct {
		fleet    func(*world) *ec2.Fleet
		strategy strategy.Strategy
		fewest   int
	}{
		"in place":         {func(w *world) *ec2.Fleet { return w.fleet(ec2.Selection{Groups: []string{"web"}}) }, strategy.HalfAtATime(), 2},
		"blue/green":       {(*world).blueGreen, strategy.BlueGreen{}, 4},
		"blue/green, kept": {(*world).blueGreen, strategy.BlueGreen{KeepAlive: true}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, fault := range awsfake.Faults() {
				sweep(t, 0, killtest.Every(7, 41), func(t *testing.T, n int) (more bool) {
					w := newWorld(t)
					w.scaled(t, "web", 4)
					first := len(w.API.Calls())
					more = false
					w.API.Inject(func(call awsfake.Call) awsfake.Fault {
						if call.N != first+n {
							return awsfake.NoFault
						}
						more = true
						return fault
					})
					success, what := false, ""
					var fewest int // until the deployment has ended; then Auto Scaling does what it likes
					w.run(t, func() {
						over := make(chan bool)
						fewest = 4
						go func() {
							for {
								select {
								case <-over:
									return
								case <-time.After(time.Second):
									fewest = min(fewest, len(w.Serving(w.arn)))
								}
							}
						}()
						d := w.deployment(t, c.fleet(w), c.strategy)
						d.ID = "d-1"
						ctx, stop := context.WithTimeout(t.Context(), 12*time.Hour) // it must not wait for ever
						defer stop()
						res, err := d.Run(ctx)
						over <- true
						success = err == nil && string(res.Status) == "Succeeded"
						if err == nil && res.Failure != nil {
							what = res.Failure.Message
						} else if err != nil {
							what = err.Error()
						}
						time.Sleep(5 * time.Minute)
					})
					if !more {
						return
					}
					call := w.API.Calls()[first+n]
					at := func(text string) string { return text + ": " + string(fault) + " at " + call.Name() + ": " + what }
					if passes[fault] {
						require.True(t, success, at("it passes"))
						require.GreaterOrEqual(t, fewest, c.fewest, at("fewest"))
						require.Len(t, w.Serving(w.arn), 4, at("serving"))
					}
					if fault != awsfake.AccessDenied { // who may not, cannot give back either
						for _, g := range w.Groups.Names() {
							require.Empty(t, w.Groups.Suspended(g), at(g))
						}
					}
					require.NotContains(t, what, context.DeadlineExceeded.Error(), at("for ever"))
					groups := w.Groups.Names()
					last := groups[len(groups)-1]
					if success && fault != awsfake.AccessDenied { // what could not be given back is a note
						require.NotEmpty(t, w.Serving(w.arn), at("serving"))
						require.Equal(t, []string{w.arn}, w.group(t, last).TargetGroupARNs, at(last))
					}
					return more
				})
			}
		})
	}
}
