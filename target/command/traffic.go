package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// The environment variables that the programs get.
const (
	UnitVar   = "CUTOVER_UNIT"
	WeightVar = "CUTOVER_WEIGHT" // Set only
)

// Placeholders in arguments.
const (
	unitMark   = "{unit}"
	weightMark = "{weight}"
)

// Traffic is a load balancer behind two programs. Leave the fields alone after the
// first call; then it may be used from many goroutines, and the programs run at the
// same time for different units.
type Traffic struct {
	Set []string // absolute path and arguments of the program that sets a weight. Required
	Get []string // the same for the one that prints it. Nil: Weight is refused, and nothing is read back

	Dir string   // working directory; empty: the program's own
	Env []string // "NAME=value", complete but for our own two. Nil: a small fixed one

	SetTimeout time.Duration // zero: 10 minutes
	GetTimeout time.Duration // zero: 30 s
	Grace      time.Duration // between TERM and KILL; zero: 10 s

	// Log takes what the programs print, with the time. It is written from several
	// goroutines at once if several units are worked on. Nil: only the end of it is
	// kept, for failures.
	Log io.Writer
}

var _ target.Traffic = (*Traffic)(nil)

// Defaults of the settings.
const (
	defaultSet = 10 * time.Minute
	defaultGet = 30 * time.Second
)

var fixedEnv = [...]string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C.UTF-8",
}

// SetWeight implements [target.Traffic]. When ctx is cancelled the program is ended,
// and the cause of ctx returned: at once where it heeds TERM, after the grace
// otherwise.
func (t *Traffic) SetWeight(ctx context.Context, unit string, w lifecycle.Weight) error {
	if w < 0 || w > target.Full {
		return failed(lifecycle.Unsupported, "weight %d of %s: want 0 to %d", w, unit, target.Full)
	}
	text := strconv.Itoa(int(w))
	env := t.env("SetWeight", unit, UnitVar+"="+unit, WeightVar+"="+text)
	// One that a dead controller left running would work against this one.
	if _, err := lifecycle.EndLeftovers(ctx, env); err != nil {
		return err
	}
	_, err := t.run(ctx, t.Set, or(t.SetTimeout, defaultSet), env, unitMark, unit, weightMark, text)
	if err != nil || t.Get == nil {
		return err
	}
	got, err := t.Weight(ctx, unit)
	if err == nil && got != w {
		err = failed(lifecycle.TargetFailed, "%s set the weight of %s to %d and exited with status 0, but %s says that it is %d", t.Set[0], unit, w, t.Get[0], got)
	}
	return err
}

// Weight implements [target.Traffic].
func (t *Traffic) Weight(ctx context.Context, unit string) (lifecycle.Weight, error) {
	if t.Get == nil {
		return 0, failed(lifecycle.Unsupported, "the weight of %s cannot be read: set Traffic.Get", unit)
	}
	printed, err := t.run(ctx, t.Get, or(t.GetTimeout, defaultGet), t.env("Weight", unit, UnitVar+"="+unit), unitMark, unit)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(printed))
	if err != nil || n < 0 || n > int(target.Full) {
		return 0, failed(lifecycle.TargetFailed, "%s printed %.100q as the weight of %s, not a number from 0 to %d", t.Get[0], printed, unit, target.Full)
	}
	return lifecycle.Weight(n), nil
}

// env is what a program is told. Its step and scope name what it leaves running: they
// are the same whichever weight is set.
func (t *Traffic) env(what lifecycle.Event, unit string, vars ...string) lifecycle.Env {
	base := t.Env
	if base == nil {
		base = fixedEnv[:]
	}
	return lifecycle.Env{Step: lifecycle.Step{Unit: unit, Event: what}, Vars: slices.Concat(base, vars), Scope: "traffic " + strings.Join(t.Set, " ")}
}

// run runs a program, with marks in its arguments replaced, and returns what it
// printed on standard output.
func (t *Traffic) run(ctx context.Context, argv []string, limit time.Duration, env lifecycle.Env, marks ...string) (string, error) {
	filled, err := fill(argv, marks)
	if err != nil {
		return "", err
	}
	command := &lifecycle.Command{Argv: filled, Dir: t.Dir, Timeout: limit, Grace: t.Grace}
	var printed stdout
	hook := lifecycle.Func(func(ctx context.Context, env lifecycle.Env, out io.Writer) error {
		return command.Run(ctx, env, io.MultiWriter(&printed, out))
	})
	err = (&lifecycle.Runner{Log: t.Log}).Run(ctx, env, []lifecycle.Hook{hook})
	if e, ok := err.(*lifecycle.Error); ok {
		e.Step = lifecycle.Step{} // ours is made up; who called knows the real one
	}
	return printed.String(), err
}

// fill replaces the placeholders. A unit that would be read as an option is refused.
func fill(argv, marks []string) ([]string, error) {
	if len(argv) == 0 {
		return nil, failed(lifecycle.Unsupported, "there is no program to run: set Traffic.Set")
	}
	replacer := strings.NewReplacer(marks...)
	filled := []string{argv[0]}
	for _, arg := range argv[1:] {
		text := replacer.Replace(arg)
		if strings.HasPrefix(text, "-") && !strings.HasPrefix(arg, "-") {
			return nil, failed(lifecycle.Unsupported, "the argument %q begins with a dash once it is filled in as %q, so %s would take it for an option", arg, text, argv[0])
		}
		filled = append(filled, text)
	}
	return filled, nil
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

func failed(code lifecycle.Code, format string, args ...any) error {
	return &lifecycle.Error{Failure: lifecycle.Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}
