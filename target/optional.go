package target

import (
	"context"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Checker is an optional power of a [Target] or a [Host]. Before a deployment touches
// anything, its engine asks a target that has it whether the revision in job can
// be deployed at all: the AppSpec is valid, the scripts are there.
type Checker interface {
	// Check reads job.Bundle and changes nothing. It returns what a person should
	// know, and an error, best a [*lifecycle.Error], if the revision is unfit.
	Check(ctx context.Context, job *Job) ([]lifecycle.Note, error)
}

// TestRouted is what a [Target] also is when it may have a second way in that only
// tests use: a test listener of an ECS service. The engine asks once, when it plans:
// such a target gets AllowTestTraffic and AfterAllowTestTraffic.
type TestRouted interface {
	TestRoute() bool
}

// Pool is an optional power of a [Target] that can make the units it deploys to, for
// blue/green deployments.
type Pool interface {
	// Provision makes n units with the role of a replacement, out of traffic, and
	// returns them when they can be deployed to. It is known by the deployment's id:
	// asked again it returns the same units, and makes what is missing to n. Units
	// of other deployments are never returned and never removed.
	Provision(ctx context.Context, deployment string, n int) ([]lifecycle.Unit, error)

	// Retire removes a unit for good. It refuses to remove one that takes traffic;
	// one that is gone already is success.
	Retire(ctx context.Context, unit string) error
}
