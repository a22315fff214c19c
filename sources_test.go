package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/rollback"
	"github.com/cutover-deploy/cutover/strategy"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/fake"
)

// shelf is a store with versions, and a source of the newest or of one of them: what
// an object in S3 is to a deployment.
type shelf struct {
	content *[]string
	version string
	opened  *[]string
}

const shelfKind revision.Kind = "shelf"

func newShelf(content ...string) shelf { return shelf{&content, "", &[]string{}} }

func (s shelf) Location() revision.Location {
	return revision.Location{Kind: shelfKind, Params: map[string]string{"version": s.version}}
}

func (s shelf) At(l revision.Location) (revision.Source, error) {
	if l.Kind != shelfKind {
		return nil, revision.OtherKind(l, shelfKind)
	}
	s.version = l.Params["version"]
	return s, nil
}

func (s shelf) Open(ctx context.Context, work string) (*revision.Bundle, error) {
	*s.opened = append(*s.opened, s.version)
	n := len(*s.content) - 1
	if s.version != "" {
		if _, err := fmt.Sscan(s.version, &n); err != nil {
			return nil, err
		}
	}
	if (*s.content)[0] == "locked" {
		return nil, &revision.Error{Code: revision.Denied, Path: "shelf", Err: errors.New("the credentials have expired")}
	}
	if n >= len(*s.content) || (*s.content)[n] == "" {
		return nil, errors.New("that version is gone")
	}
	if err := os.WriteFile(filepath.Join(work, "release.txt"), []byte((*s.content)[n]), 0o644); err != nil {
		return nil, err
	}
	b, err := revision.Dir(work).Open(ctx, "")
	if err == nil {
		s.version = fmt.Sprint(n)
		b.Location = s.Location()
	}
	return b, err
}

// unpacking is a target that notes what the revision holds in each step. Its deployment
// d-bad fails.
type unpacking struct {
	*fake.Fleet
	seen map[string]string // deployment: content
	cut  func()            // called in the first step of ValidateService, if not nil
}

func (u *unpacking) Perform(ctx context.Context, t target.Task) error {
	u.seen[t.Step.Deployment] = "nothing"
	if b := t.Job.Bundle; b != nil {
		text, err := os.ReadFile(filepath.Join(b.Dir, "release.txt"))
		if err != nil {
			return err
		}
		u.seen[t.Step.Deployment] = string(text)
	}
	if t.Step.Deployment == "d-bad" && t.Step.Event == lifecycle.ValidateService {
		return &lifecycle.Error{Step: t.Step, Failure: lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "exit status 3"}}
	}
	if cut := u.cut; cut != nil && t.Step.Event == lifecycle.ValidateService {
		u.cut = nil
		cut()
		return context.Cause(ctx)
	}
	return u.Fleet.Perform(ctx, t)
}

func shelved(t *testing.T, s revision.Source) (*Deployment, *unpacking) {
	u := &unpacking{Fleet: fake.NewFleet(1), seen: map[string]string{}}
	return &Deployment{Group: "web", ID: "d-1", Target: u, Revision: s, Strategy: strategy.AllAtOnce(), RerunInterrupted: true,
		Rollback: rollback.Policy{OnFailure: true}, Journal: &journal.Memory{}, WorkDir: t.TempDir()}, u
}

// unavailable gathers what is noted about revisions that cannot be had.
func unavailable(d *Deployment) *[]string {
	var texts []string
	d.Observe = func(r lifecycle.Record) {
		var n lifecycle.Note
		if r.Kind == lifecycle.Noted && json.Unmarshal(r.Data, &n) == nil && n.Code == lifecycle.RevisionUnavailable {
			texts = append(texts, n.Text)
		}
	}
	return &texts
}

// abandoned runs the deployment until it is cancelled in the middle.
func abandoned(t *testing.T, d *Deployment, u *unpacking) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	u.cut = cancel
	_, err := d.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// What was the newest when the deployment was planned is what it goes on with, whether
// a process that resumes it names the source, or only who can open it.
func TestResume_OpensWhatWasPinned(t *testing.T) {
	for name, change := range map[string]func(*Deployment, shelf){
		"with the revision":    func(*Deployment, shelf) {},
		"with an opener alone": func(d *Deployment, s shelf) { d.Revision, d.Sources = nil, []revision.Opener{s} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf("one")
			d, u := shelved(t, s)
			abandoned(t, d, u)
			*s.content = append(*s.content, "two")
			clear(u.seen)
			change(d, s)
			res, err := d.Resume(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, strategy.DeploymentSucceeded, res.Status)
			require.Equal(t, map[string]string{"d-1": "one"}, u.seen)
			require.Equal(t, []string{"", "0"}, *s.opened)
			require.Equal(t, "shelf:version=0", res.Revision.Location.String())
		})
	}
}

// Where the recorded location has nothing any more, the revision that is given will do
// if it is the same, and nothing else will.
func TestResume_TakesTheGivenRevisionIfItIsTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		content []string
		want    string
		note    string
	}{
		"the same elsewhere": {[]string{"", "one"}, "one", ""},
		"something else":     {[]string{"", "two"}, "nothing", "the revision shelf:version=0@%s is not available (that version is gone; its content has changed since the deployment was planned); only units that have retained it can deploy it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf("one")
			d, u := shelved(t, s)
			abandoned(t, d, u)
			*s.content = c.content
			clear(u.seen)
			notes := unavailable(d)
			res, err := d.Resume(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, map[string]string{"d-1": c.want}, u.seen)
			if c.note != "" {
				require.Contains(t, *notes, fmt.Sprintf(c.note, res.Revision.Digest[7:19]))
			}
		})
	}
}

// I7: what credentials or the network refuse for now fails no host. A rollback goes on
// with what the hosts have.
func TestI7_ResumeWaitsForCredentialsAndRollbacksDoNot(t *testing.T) {
	s := newShelf("one")
	d, u := shelved(t, s)
	abandoned(t, d, u)
	for name, again := range map[string]func() (*Result, error){
		"refused": func() (*Result, error) {
			(*s.content)[0] = "locked"
			return d.Resume(t.Context(), "")
		},
		"no opener": func() (*Result, error) {
			d.Revision = nil
			defer func() { d.Revision = s }()
			return d.Resume(t.Context(), "")
		},
	} {
		done := len(u.Done())
		res, err := again()
		require.Nil(t, res, name)
		e, ok := errors.AsType[*lifecycle.Error](err)
		require.True(t, ok, name)
		require.Equal(t, lifecycle.RevisionUnavailable, e.Code)
		require.ErrorContains(t, err, "the revision cannot be had now; mend that and resume again, or give it as Revision: d-1: ")
		require.Len(t, u.Done(), done, "nothing was done")
	}
	(*s.content)[0] = "one"
	res, err := d.Resume(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, strategy.DeploymentSucceeded, res.Status)

	d.ID, d.Revision, d.Sources = "d-bad", rev(t, "bad"), []revision.Opener{s}
	(*s.content)[0] = "locked"
	notes := unavailable(d)
	res = run(t, d)
	require.NotNil(t, res.Rollback)
	require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status, "the fake has retained it")
	require.Len(t, *notes, 1)
	require.Contains(t, (*notes)[0], "the credentials have expired")
}

// A rollback opens the version that was good, not the newest, and with whoever can.
func TestRollback_OpensTheRecordedVersion(t *testing.T) {
	for name, next := range map[string]func(*Deployment, shelf){
		"with the source of the bad one": func(*Deployment, shelf) {},
		"with Sources": func(d *Deployment, s shelf) {
			d.Revision, d.Sources = rev(t, "bad"), []revision.Opener{s}
		},
		"with neither": func(d *Deployment, s shelf) { d.Revision = rev(t, "bad") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf("one")
			d, u := shelved(t, s)
			run(t, d)
			*s.content = append(*s.content, "bad")
			next(d, s)
			d.ID = "d-bad"
			notes := unavailable(d)
			res := run(t, d)
			require.Equal(t, "bad", u.seen["d-bad"])
			require.NotNil(t, res.Rollback)
			if name == "with neither" {
				require.Equal(t, "nothing", u.seen[res.Rollback.Deployment])
				require.Len(t, *notes, 2, "said when it began, and when it happened")
				require.Contains(t, (*notes)[0], "a rollback could not fetch the last good revision: shelf:version=0: a location of kind")
				return
			}
			require.Equal(t, strategy.DeploymentSucceeded, res.Rollback.Status)
			require.Equal(t, "one", u.seen[res.Rollback.Deployment])
			require.Empty(t, *notes)
		})
	}
}

// An AppSpec alone needs no file and no service to be opened again.
func TestResume_OfAnInlineAppSpec(t *testing.T) {
	d, u := shelved(t, revision.Inline{Content: "version: 0.0\n", Name: "release.txt"})
	abandoned(t, d, u)
	d.Revision = nil
	clear(u.seen)
	res, err := d.Resume(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"d-1": "version: 0.0\n"}, u.seen)
	text, err := json.Marshal(res.Revision.Location)
	require.NoError(t, err)
	require.Contains(t, string(text), `"content":"version: 0.0\n"`)
}
