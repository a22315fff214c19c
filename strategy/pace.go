package strategy

import "fmt"

// Pace says how many units of a stage may be out of service at once, and whether
// the stage can still succeed. It follows CodeDeploy's minimum healthy hosts.
type Pace struct {
	MinHealthy int `json:"minHealthy"`         // units of the group, or of the stage's role, that must stay, or become, healthy
	StageMin   int `json:"stageMin,omitempty"` // the same of the stage's own units (CodeDeploy: minimumHealthyHostsPerZone)
	Limit      int `json:"limit"`              // most units in progress at once; at least 1
	// FailFirst ends the stage at the first failure while units are left, also
	// where those were unhealthy before (CodeDeployDefault.OneAtATime).
	FailFirst bool `json:"failFirst,omitempty"`
	// All needs every unit of the stage to succeed.
	All bool `json:"all,omitempty"`
	// Cleanup lets the deployment succeed whatever becomes of the stage: it only
	// tidies up. What failed is listed.
	Cleanup bool `json:"cleanup,omitempty"`
	// LostBudget is how many units may be lost without counting as failed. Each that
	// is takes one off the minimum.
	LostBudget int `json:"lostBudget,omitempty"`
}

// String says the pace in words.
func (p Pace) String() string {
	s := fmt.Sprintf("at most %d at once", p.Limit)
	switch {
	case p.Cleanup:
		return s + ", failures are only listed"
	case p.All:
		return s + ", all must succeed"
	case p.StageMin > 0:
		return s + fmt.Sprintf(", at least %d healthy, %d of this stage", p.MinHealthy, p.StageMin)
	default:
		return s + fmt.Sprintf(", at least %d healthy", p.MinHealthy)
	}
}

// Counts is how a group, or the part of it with the stage's role, stands in the
// middle of a stage. Every unit is counted once among Healthy, InProgress,
// PendingUnhealthy and Failed.
type Counts struct {
	Healthy          int // in service: succeeded, or healthy and not started, or healthy and not in the stage
	InProgress       int // started and not ended: out of service
	Failed           int // failed, lost, or unhealthy and not in the stage
	PendingUnhealthy int // not started, unhealthy
	PendingHealthy   int // not started, healthy; part of Healthy
	Succeeded        int // of the stage; part of Healthy
	StageHealthy     int // of the stage; part of Healthy
	StageFailed      int // of the stage; part of Failed
	Lost             int // cannot be reached; part of Failed
	StageLost        int // of the stage; part of Lost and of StageFailed
	// Earlier counts successes of the deployment's earlier stages, where those and this
	// one do the same to different units: zones and waves.
	Earlier int
}

// minimum is what must stay healthy, less what may be lost and is.
func (p Pace) minimum(c Counts) int { return max(0, p.MinHealthy-min(c.Lost, p.LostBudget)) }

// Room is how many more units may be started now. Unhealthy ones come first and
// take nothing out of service. A healthy one may be started only if the minimum
// holds without it.
func (p Pace) Room(c Counts) int {
	free := p.Limit - c.InProgress
	if c.PendingUnhealthy > 0 {
		return max(0, min(free, c.PendingUnhealthy))
	}
	return max(0, min(free, c.Healthy-p.minimum(c), c.StageHealthy-p.StageMin, c.PendingHealthy))
}

// Holds reports whether the stage can still succeed. It cannot when fewer than
// the minimum can end healthy. It cannot either when healthy units wait and those
// that can be healthy are just the minimum: none of them could ever be taken out.
// With nothing left to start, just the minimum is enough.
func (p Pace) Holds(c Counts) bool {
	coming := c.InProgress + c.PendingUnhealthy
	spare := min(c.Healthy+coming-p.minimum(c), c.StageHealthy+coming-p.StageMin)
	failed := c.StageFailed - min(c.StageLost, p.LostBudget)
	switch {
	case p.Cleanup:
		return true
	case spare < 0, spare == 0 && c.PendingHealthy > 0:
		return false
	case p.All && failed > 0:
		return false
	case p.FailFirst && failed > 0 && c.PendingHealthy+c.PendingUnhealthy > 0:
		return false
	default:
		return true
	}
}

// Met reports whether a stage with nothing pending and nothing in progress has
// succeeded: it holds, and one unit has succeeded at least. That counts over the
// deployment, as in CodeDeploy: a zone in which none did is made up for by another.
func (p Pace) Met(c Counts) bool { return p.Cleanup || c.Succeeded+c.Earlier > 0 && p.Holds(c) }

// unmet says which of its rules a stage has broken, with the arithmetic.
func (p Pace) unmet(c Counts) string {
	left := c.PendingHealthy + c.PendingUnhealthy
	failed := fmt.Sprintf("%d failed, %d were not started", c.StageFailed, left)
	if lost := c.Lost - c.StageLost; lost > 0 {
		failed += fmt.Sprintf(", %d cannot be reached", lost)
	}
	all := c.Healthy + c.InProgress + c.PendingUnhealthy + c.Failed
	short := fmt.Sprintf("%d of %d units are healthy and %d must be", c.Healthy, all, p.minimum(c))
	if c.StageHealthy-p.StageMin < c.Healthy-p.minimum(c) {
		of := c.StageHealthy + c.InProgress + c.PendingUnhealthy + c.StageFailed
		short = fmt.Sprintf("%d of %d units of the stage are healthy and %d must be", c.StageHealthy, of, p.StageMin)
	}
	switch {
	case p.All:
		return failed + ", and all must succeed"
	case p.Holds(c):
		return fmt.Sprintf("no unit succeeded, %d failed", c.StageFailed)
	case min(c.Healthy-p.minimum(c), c.StageHealthy-p.StageMin) < 0:
		return short + "; " + failed
	case p.FailFirst:
		return failed + ", and the first failure ends it"
	default:
		return short + ", so no other may be taken out of service; " + failed
	}
}
