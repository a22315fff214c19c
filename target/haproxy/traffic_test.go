package haproxy_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/haproxy"
)

func codeOf(t *testing.T, err error) lifecycle.Code {
	t.Helper()
	e, ok := errors.AsType[*lifecycle.Error](err)
	require.True(t, ok, "%v", err)
	return e.Code
}

func weight(t *testing.T, lb *haproxy.Traffic, unit string) lifecycle.Weight {
	t.Helper()
	w, err := lb.Weight(t.Context(), unit)
	require.NoError(t, err)
	return w
}

func TestOutAndInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := up("web", "a")
		s.busyUntil = time.Now().Add(90 * time.Second)
		lb, p := one(s, up("web", "b"))
		began := time.Now()
		require.NoError(t, lb.SetWeight(t.Context(), "a", 0))
		require.GreaterOrEqual(t, time.Since(began), 90*time.Second, "requests are waited for")
		require.Equal(t, []string{"set server web/a state drain", "set server web/a state maint"}, p.commands)
		require.Equal(t, lifecycle.Weight(0), weight(t, lb, "a"))
		require.Equal(t, lifecycle.Weight(100), weight(t, lb, "b"))

		p.commands, began = nil, time.Now()
		require.NoError(t, lb.SetWeight(t.Context(), "a", 100))
		require.GreaterOrEqual(t, time.Since(began), 4*time.Second, "checks are waited for")
		require.Equal(t, []string{"set weight web/a 100%", "set server web/a state drain", "set server web/a health down", "set server web/a state ready"}, p.commands)
		require.Equal(t, lifecycle.Weight(100), weight(t, lb, "a"))
	})
}

// A step that is done again after a crash finds a server in maintenance: it must not
// drain it, since pinned clients would come back.
func TestOutTwiceStaysInMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lb, p := one(up("web", "a"))
		require.NoError(t, lb.SetWeight(t.Context(), "a", 0))
		p.commands = nil
		require.NoError(t, lb.SetWeight(t.Context(), "a", 0))
		require.Equal(t, []string{"set server web/a state maint"}, p.commands)
	})
}

func TestPinnedClientsAreSentElsewhereAtHalfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := up("web", "a")
		s.pinned = true
		lb, _ := one(s)
		lb.Drain = time.Minute
		began := time.Now()
		require.NoError(t, lb.SetWeight(t.Context(), "a", 0))
		require.GreaterOrEqual(t, time.Since(began), 30*time.Second)
		require.Less(t, time.Since(began), 32*time.Second)
	})
}

func TestRequestsThatDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := up("web", "a")
		s.busyUntil = time.Now().Add(time.Hour)
		lb, _ := one(s)
		began := time.Now()
		err := lb.SetWeight(t.Context(), "a", 0)
		require.Equal(t, lifecycle.TimedOut, codeOf(t, err))
		require.ErrorContains(t, err, "not drained within 5m0s: web/a at s: 3 requests")
		require.Less(t, time.Since(began), 5*time.Minute+time.Second)
		require.Equal(t, lifecycle.Weight(0), weight(t, lb, "a"), "it gets nothing new")

		lb.Shutdown = true
		require.NoError(t, lb.SetWeight(t.Context(), "a", 0))
	})
}

func TestSickServerGetsNoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := up("web", "a")
		s.sick, s.admin = true, 1
		lb, _ := one(s)
		lb.Healthy = time.Minute
		err := lb.SetWeight(t.Context(), "a", 100)
		require.Equal(t, lifecycle.TrafficUnhealthy, codeOf(t, err))
		require.ErrorContains(t, err, "not healthy within 1m0s: web/a at s: DOWN, L4CON Layer4 connection problem Connection refused")
		require.Equal(t, lifecycle.Weight(0), weight(t, lb, "a"))
	})
}

func TestSeveralBackendsAndProxies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := map[string]*proxy{
			"left":  {servers: []*server{up("web", "a"), up("api", "a"), up("web", "b")}},
			"right": {servers: []*server{up("web", "a"), up("api", "a"), up("web", "b")}},
		}
		lb := balancer(pair)
		require.NoError(t, lb.SetWeight(t.Context(), "a", 0))
		for _, p := range pair {
			require.Equal(t, []int{1, 1, 0}, []int{p.servers[0].admin, p.servers[1].admin, p.servers[2].admin})
		}
		pair["right"].servers[1].admin = 0
		_, err := lb.Weight(t.Context(), "a")
		require.Equal(t, lifecycle.Unknown, codeOf(t, err))
		require.ErrorContains(t, err, "api/a at right: 100")

		lb.Backends = []string{"web"}
		require.Equal(t, lifecycle.Weight(0), weight(t, lb, "a"))
		lb.Servers = map[string][]haproxy.Server{"host-1": {{Backend: "web", Name: "b"}}}
		require.Equal(t, lifecycle.Weight(100), weight(t, lb, "host-1"))
		_, err = lb.Weight(t.Context(), "a")
		require.ErrorContains(t, err, `does not list unit "a"`)
	})
}

func TestPartialWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coarse := up("web", "coarse")
		coarse.full, coarse.set = 1, 1
		lb, p := one(up("web", "a"), coarse)
		for _, w := range []lifecycle.Weight{10, 50, 99, 100} {
			require.NoError(t, lb.SetWeight(t.Context(), "a", w))
			require.Equal(t, w, weight(t, lb, "a"))
		}
		p.commands = nil
		err := lb.SetWeight(t.Context(), "coarse", 10)
		require.Equal(t, lifecycle.Unsupported, codeOf(t, err))
		require.ErrorContains(t, err, "which is 1; use one such as 100")
		require.Equal(t, lifecycle.Unsupported, codeOf(t, lb.SetWeight(t.Context(), "a", 101)))
		require.Equal(t, lifecycle.Unsupported, codeOf(t, lb.SetWeight(t.Context(), "a", -1)))
		require.Empty(t, p.commands, "nothing is touched")
		require.NoError(t, lb.SetWeight(t.Context(), "coarse", 100))
	})
}

// A reload starts with the configuration: everybody serves again.
func TestReloadInTheMiddleOfDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := up("web", "a")
		s.busyUntil = time.Now().Add(time.Minute)
		lb, p := one(s)
		reload := time.AfterFunc(20*time.Second, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			s.admin, p.deaf = 0, 5
		})
		defer reload.Stop()
		require.NoError(t, lb.SetWeight(t.Context(), "a", 0))
		require.Equal(t, 1, s.admin)
		require.Equal(t, "set server web/a state drain", p.commands[1], "it is drained again")
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lb, p := one(up("web", "a"))
		require.ErrorContains(t, lb.SetWeight(t.Context(), "z", 0), `has no server called "z"`)
		lb.Servers = map[string][]haproxy.Server{"a": {{Backend: "web", Name: "x"}}, "evil": {{Backend: "web; shutdown", Name: "a"}}}
		require.ErrorContains(t, lb.SetWeight(t.Context(), "a", 0), "has no server web/x, which unit a needs")
		require.ErrorContains(t, lb.SetWeight(t.Context(), "evil", 0), "is no name of a backend or server")
		lb.Servers = nil
		p.refuse = "Permission denied\n"
		require.Equal(t, lifecycle.Denied, codeOf(t, lb.SetWeight(t.Context(), "a", 0)))
		p.refuse = "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n"
		require.ErrorContains(t, lb.SetWeight(t.Context(), "a", 50), "static LB algorithm")
		p.deaf = 1 << 30
		began := time.Now()
		require.Equal(t, lifecycle.Unknown, codeOf(t, lb.SetWeight(t.Context(), "a", 0)))
		require.Equal(t, 10*time.Second, time.Since(began).Round(time.Second))
		require.ErrorContains(t, (&haproxy.Traffic{}).SetWeight(t.Context(), "a", 0), "set Traffic.Sockets")
		for _, far := range []string{"10.0.0.1:9999", "balancer:9999", "relative.sock"} {
			err := (&haproxy.Traffic{Sockets: []string{far}}).SetWeight(t.Context(), "a", 0)
			require.Equal(t, lifecycle.Unsupported, codeOf(t, err))
		}
	})
}

// A HAProxy that dies after it has read a command closes the connection, as one that has
// answered does. Its answers end in an empty line, of each command that came in one line.
func TestAnswerThatIsCutOffIsNone(t *testing.T) {
	after := func(begin string, left int) func(string, string) string {
		return func(command, answer string) string {
			if strings.HasPrefix(command, begin) {
				return answer[:max(0, len(answer)-left)]
			}
			return answer
		}
	}
	for name, dies := range map[string]func(string, string) string{
		"a command that says nothing":  after("set server", 1),
		"all of it":                    after("show servers state", 1<<20),
		"the last line of a table":     after("show servers state", len("\n")),
		"a table of names":             func(_, _ string) string { return "1\n" + columns + "\n" },
		"a row":                        after("show stat", len("\n")),
		"the middle of a row":          after("show stat", 20),
		"what HAProxy says against it": func(_, _ string) string { return "No such server.\n" },
	} {
		synctest.Test(t, func(t *testing.T) {
			lb, p := one(up("web", "a"))
			p.dies = dies
			err := lb.SetWeight(t.Context(), "a", 0)
			require.Equal(t, lifecycle.Unknown, codeOf(t, err), name)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := up("web", "a")
		s.admin, s.down = 1, true
		lb, p := one(s)
		p.dies = after("set weight", 1)
		err := lb.SetWeight(t.Context(), "a", 100)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the last of several commands")
		require.ErrorContains(t, err, "health down")
	})
}

func TestCancelledWaitReturnsItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := up("web", "a")
		s.busyUntil = time.Now().Add(time.Hour)
		lb, p := one(s)
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel(why) })
		began := time.Now()
		require.ErrorIs(t, lb.SetWeight(ctx, "a", 0), why)
		require.Equal(t, 10*time.Second, time.Since(began).Round(time.Second))
		_, err := lb.Weight(ctx, "a")
		require.ErrorIs(t, err, why)
		before := slices.Clone(p.commands)
		require.ErrorIs(t, lb.SetWeight(ctx, "a", 100), why)
		require.Equal(t, before, p.commands, "nothing is changed any more")
	})
}
