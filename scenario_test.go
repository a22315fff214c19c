package cutover

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
)

var update = flag.Bool("update", false, "rewrite the traces in testdata/scenarios")

// A scenario is a text: what there is, what happens when, then a line of dashes,
// then the trace of all records and how it ended. See testdata/scenarios/README.md.
// Read a trace that -update has written before it is committed: a trace that
// records a bug is worse than none.
func TestScenarios(t *testing.T) {
	var files []string
	for _, pattern := range []string{"testdata/scenarios/*.txt", "testdata/scenarios/*/*.txt"} {
		some, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, some...)
	}
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/scenarios/"), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			script, want, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "----\n")
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, script) })
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(script+"----\n"+got), 0o644))
				return
			}
			require.Equal(t, want, got, "see -update")
		})
	}
}

// scene plays one scenario.
type scene struct {
	t      *testing.T
	world  world
	d      Deployment
	takes  time.Duration
	brief  bool
	made   int // deployments that the script does not name
	revs   map[string]revision.Source
	names  *strings.Replacer // random ids, digests and paths, by what the script calls them
	known  []string
	memory journal.Memory

	siren    *switchable
	approved map[string]*approval

	mu    sync.Mutex // commands come from other goroutines
	begun time.Time
	lines []line
	plans map[string]strategy.Plan
	dead  bool
	kill  context.CancelCauseFunc

	instants map[time.Time]string // what happened by itself, and when
	ties     []string             // what did at one instant
}

func play(t *testing.T, script string) string {
	s := &scene{t: t, takes: 10 * time.Second, revs: map[string]revision.Source{}, names: strings.NewReplacer(),
		plans: map[string]strategy.Plan{}, approved: map[string]*approval{}, instants: map[time.Time]string{}}
	var out strings.Builder
	lines := strings.Split(script, "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if words[0] != "deploy" {
			do, ok := directives[words[0]]
			require.True(t, ok, "line %d: unknown directive %q", i+1, words[0])
			do(s, words[1:])
			continue
		}
		var ats [][]string
		for i+1 < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i+1]), "at ") {
			i++
			ats = append(ats, strings.Fields(lines[i])[1:])
		}
		out.WriteString(s.deploy(words[1:], ats))
	}
	s.check()
	return out.String()
}

// check is what must be true at the end of every scenario.
func (s *scene) check() {
	seen := map[string]bool{}
	for _, step := range s.world.Done() {
		require.False(s.t, seen[step.Key()], "invariant 13: %s was done twice", step)
		seen[step.Key()] = true
	}
	require.Empty(s.t, s.ties, "two things happen at one instant: let one of them come earlier")
}

var errKilled = errors.New("the controller was killed")

// deploy runs a deployment to its end, with what happens meanwhile, and says what
// was to be seen.
func (s *scene) deploy(words []string, ats [][]string) string {
	d := s.deployment(words)
	s.begun, s.lines, s.dead = time.Now(), nil, false
	down := map[time.Duration]string{} // how long nobody drives it after a crash, by the time of the crash
	for _, at := range ats {
		when := s.duration(at[0])
		if at[1] == "crash" {
			down[when] = at[3]
		}
		timer := time.AfterFunc(when, func() { s.command(d, at[1], at[2:]) })
		defer timer.Stop()
	}
	ctx, cancel := s.alive()
	res, err := d.Run(ctx)
	cancel(nil)
	for errors.Is(err, errKilled) {
		after := down[time.Since(s.begun).Truncate(time.Millisecond)]
		s.say("------", "the controller is killed")
		if after == "ever" {
			break
		}
		time.Sleep(s.duration(after))
		s.say("------", "another one resumes")
		ctx, cancel = s.alive()
		res, err = d.Resume(ctx, "")
		cancel(nil)
	}
	return s.report(d, res, err)
}

// alive makes the life of a controller.
func (s *scene) alive() (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(s.t.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead, s.kill = false, cancel
	return ctx, cancel
}

// command is something that happens while a deployment runs.
func (s *scene) command(d *Deployment, verb string, args []string) {
	s.mu.Lock()
	s.happens(verb)
	s.mu.Unlock()
	var err error
	switch verb {
	case "stop":
		err = d.Stop(s.t.Context(), StopOptions{Reason: "asked to", Rollback: len(args) > 0})
	case "continue":
		err = d.Continue(s.t.Context(), "looks good")
	case "alarm":
		s.siren.set(args[0])
	case "approve":
		s.approved[args[0]].open.Store(true)
	case "crash":
		s.mu.Lock()
		s.dead = true
		s.mu.Unlock()
		s.kill(errKilled)
	case "deploy": // somebody else tries to
		other := s.deployment(args)
		_, err = other.Run(s.t.Context())
	default:
		directives[verb](s, args)
	}
	if err != nil {
		s.say(verb, "refused: "+err.Error())
	}
}

func (s *scene) reader() journal.Reader { return s.memory.Reader("web") }

// journal is the scene's one journal, as a controller that can be killed has it.
func (s *scene) journal() journal.Journal {
	return &journaltest.Tap{Journal: &s.memory, Before: func([]lifecycle.Record) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.dead {
			return errKilled
		}
		return nil
	}}
}

// call gives something random the name that traces show. The lock is held.
func (s *scene) call(random, name string) {
	if random == "" {
		return
	}
	s.known = append(s.known, random, name)
	s.names = strings.NewReplacer(s.known...)
}

// source makes a revision once. It is called while a deployment runs, too.
func (s *scene) source(name string) revision.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revs[name] == nil {
		s.revs[name] = rev(s.t, name)
		b, err := s.revs[name].Open(s.t.Context(), s.t.TempDir())
		require.NoError(s.t, err)
		r := revision.Revision{Location: s.revs[name].Location(), Digest: b.Manifest.Digest()}
		s.call(r.String(), name)
		s.call(r.Digest, name)
	}
	return s.revs[name]
}

func (s *scene) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	require.NoError(s.t, err)
	return d
}

// given makes the group's past: a deployment that succeeded, but on some units.
func (s *scene) given(words []string) {
	id := fmt.Sprintf("d-0%d", s.made)
	s.made++
	d := s.deployment([]string{id, words[0]})
	d.Strategy = s.world.plain
	if len(words) > 2 { // except
		for unit := range strings.SplitSeq(words[2], ",") {
			s.fault([]string{"deployment=" + id, "unit=" + unit, "event=Install", "fail:InstallFailed"})
		}
	}
	d.Gates, d.Watch, d.Before, d.After, d.Observe = nil, rollback.Watch{}, nil, nil, nil
	res, err := d.Run(s.t.Context())
	require.NoError(s.t, err)
	require.Equal(s.t, strategy.DeploymentSucceeded, res.Status)
}
