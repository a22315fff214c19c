package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cutover-deploy/cutover"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/strategy"
)

// Program deploys revisions to one group and tells how that ends.
type Program struct {
	// Deployment makes the deployment of a revision. A nil revision is for going on:
	// what is deployed is on record.
	Deployment func(revision.Source) *cutover.Deployment
	Track      *Tracker
	Out        io.Writer // takes the outcome
}

// Deploy deploys a revision, and reports whether that went well. With resume it
// finishes what is unfinished instead; if that is nothing and the revision is what was
// deployed last, there is nothing to do but to tell how that ended. So resume may be
// said again and again, whatever moment the last process was killed at.
func (p *Program) Deploy(ctx context.Context, src revision.Source, resume bool) (bool, error) {
	d := p.Deployment(src)
	if !resume {
		return p.Conclude(d.Run(ctx))
	}
	res, err := p.Deployment(nil).Resume(ctx, "")
	if !errors.Is(err, cutover.ErrNothingToResume) {
		return p.Conclude(res, err)
	}
	last, err := p.last(ctx)
	if err != nil {
		return false, err
	}
	digest, err := digestOf(ctx, src)
	if err != nil {
		return false, err
	}
	if last.Deployment == "" || last.Revision.Digest != digest {
		return p.Conclude(d.Run(ctx))
	}
	p.Track.Display.Say("Nothing to finish: " + last.Deployment + " has deployed this revision. Leave out -resume to deploy it again.")
	return p.Conclude(d.Resume(ctx, last.Deployment))
}

// PrintPlan prints what a deployment would do, for people or as JSON.
func PrintPlan(ctx context.Context, d *cutover.Deployment, asJSON bool, stdout io.Writer) error {
	plan, err := d.Plan(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(plan)
	}
	_, err = fmt.Fprintln(stdout, plan)
	return err
}

// digestOf opens a revision to learn what it is.
func digestOf(ctx context.Context, src revision.Source) (string, error) {
	work, err := os.MkdirTemp("", "cutover-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	bundle, err := src.Open(ctx, work)
	if err != nil {
		return "", err
	}
	return bundle.Manifest.Digest(), nil
}

// last is the plan of the group's last deployment that was no rollback; zero: there is
// none.
func (p *Program) last(ctx context.Context) (strategy.Plan, error) {
	ids, err := p.Track.Reader.Deployments(ctx)
	if err != nil || len(ids) == 0 {
		return strategy.Plan{}, err
	}
	last := p.Track.State(ids[len(ids)-1]).Plan()
	if last.RollbackOf != "" {
		last = p.Track.State(last.RollbackOf).Plan()
	}
	return last, nil
}

// Conclude tells how a deployment, and its rollback, ended.
func (p *Program) Conclude(res *cutover.Result, err error) (bool, error) {
	p.Track.Display.Close()
	if err != nil {
		return false, err
	}
	ids := []string{res.Deployment}
	if res.Rollback != nil {
		ids = append(ids, res.Rollback.Deployment)
	}
	p.Track.PrintOutcome(p.Out, ids)
	return res.Status == strategy.DeploymentSucceeded, nil
}
