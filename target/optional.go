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
