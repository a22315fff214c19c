package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// apply runs the transaction.
func (p *Plan) apply(ctx context.Context) error {
	if p.req.Trial {
		return p.failure(errors.New("the plan was a trial; make another one to install"), nil)
	}
	if p.applied {
		return p.failure(errors.New("the plan was applied before; make a new one"), nil)
	}
	p.applied = true
	if err := os.MkdirAll(p.req.State, 0o700); err != nil {
		return p.failure(err, nil)
	}
	log := p.log()
	if err := p.effect("write undo log"); err != nil {
		return p.failure(err, nil)
	}
	if err := log.write(p.file(undoName)); err != nil {
		return p.failure(err, nil)
	}
	t := &txn{state: p.req.State, log: log, tools: p.tools, seam: p.req.seam}
	if err := p.forward(ctx, t); err != nil {
		t.seam = nil
		return p.failure(err, t.rollBack())
	}
	if err := t.finish(); err != nil {
		// The new tree stands. What is left over goes with the next Recover.
		p.Notes = append(p.Notes, lifecycle.Note{Text: "tidying up after the install: " + err.Error()})
	}
	return nil
}

func (p *Plan) file(name string) string { return filepath.Join(p.req.State, name) }

func (p *Plan) log() *undoLog {
	l := &undoLog{Version: 1, Txn: p.txn, Deployment: p.req.Deployment, Drops: p.drops, Labels: p.labels, Dropped: p.unlabel}
	if len(p.labels)+len(p.unlabel) > 0 {
		l.Semanage, l.Restorecon = p.tools.semanage, p.tools.restorecon
	}
	l.ops = append(append(l.ops, p.ops...), p.metas...)
	return l
}

// forward stages and commits. After its last statement the new tree is the truth.
func (p *Plan) forward(ctx context.Context, t *txn) error {
	if err := p.stage(ctx); err != nil {
		return err
	}
	if err := p.effect("write next ownership list"); err != nil {
		return err
	}
	next, err := writeBooks(p.file(nextName), p.nextHead(), p.nextRecords)
	if err != nil {
		return err
	}
	t.books = next
	if err := t.sync(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := t.commit(p.guard()); err != nil {
		return err
	}
	if err := t.relabel(ctx); err != nil {
		return err
	}
	if err := p.effect("commit"); err != nil {
		return err
	}
	if err := os.Rename(p.file(nextName), p.file(ownedName)); err != nil {
		return err
	}
	return syncPath(p.req.State)
}

// guard says whether a path is one that the group owned before.
func (p *Plan) guard() func(path string) bool {
	var known map[string]bool
	return func(path string) bool {
		if known == nil {
			known = make(map[string]bool, len(p.prev.records))
			for _, r := range p.prev.records {
				known[r.Path] = true
			}
		}
		return known[path]
	}
}

// failure is the error of apply; undo is how putting back went.
func (p *Plan) failure(err, undo error) error {
	text := fmt.Sprintf("install failed, everything was put back: %v", err)
	if undo != nil {
		text = fmt.Sprintf("install failed: %v; putting back did not succeed yet and goes on with the next attempt: %v", err, undo)
	}
	return &lifecycle.Error{
		Step:    lifecycle.Step{Deployment: p.req.Deployment, Event: lifecycle.Install},
		Failure: lifecycle.Failure{Code: lifecycle.InstallFailed, Message: text},
		Err:     errors.Join(err, undo),
	}
}
