package rollback

import (
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

// Policy says when a deployment is rolled back by itself. The zero Policy: never.
type Policy struct {
	OnFailure bool // it failed (CodeDeploy: DEPLOYMENT_FAILURE)
	OnStop    bool // somebody stopped it (CodeDeploy: DEPLOYMENT_STOP_ON_REQUEST)
	OnAlarm   bool // an alarm stopped it (CodeDeploy: DEPLOYMENT_STOP_ON_ALARM)
}

// Ending is what a decision needs to know of a deployment that did not succeed.
type Ending struct {
	Stopped    bool               // somebody stopped it, or an alarm; else it failed
	Alarm      bool               // it was an alarm
	IsRollback bool               // it was a rollback itself
	Revision   revision.Revision  // what it deployed
	LastGood   *revision.Revision // of the group's last successful deployment; nil: none
	Touched    int                // units that may no longer be what they were
	// ByTraffic says that the way back is to give traffic back to units that were
	// left as they were. It needs no revision to deploy again.
	ByTraffic bool
}

// Decide returns the revision to go back to, or nil and why there is no rollback. The
// zero revision means whatever runs where traffic goes back to.
// The reason is empty if none was asked for. It has code NoPreviousRevision where
// one was wanted and there is nowhere to go.
func (p Policy) Decide(e Ending) (*revision.Revision, *lifecycle.Note) {
	wanted := p.OnFailure
	switch {
	case e.Alarm:
		wanted = p.OnAlarm
	case e.Stopped:
		wanted = p.OnStop
	}
	switch {
	case !wanted:
		return nil, nil
	case e.IsRollback:
		return nil, &lifecycle.Note{Code: lifecycle.RollbackFailed, Text: "a rollback is never rolled back; the units are left as they are, deploy a good revision"}
	case e.Touched == 0:
		return nil, &lifecycle.Note{Text: "no unit was touched, so there is nothing to roll back"}
	case e.ByTraffic && e.LastGood == nil:
		return &revision.Revision{}, nil
	case e.LastGood == nil:
		return nil, &lifecycle.Note{Code: lifecycle.NoPreviousRevision, Text: fmt.Sprintf(
			"no deployment to this group has succeeded yet, so there is no revision to roll back to; %d units are left as they are, deploy a good revision", e.Touched)}
	case e.LastGood.Digest == e.Revision.Digest && !e.ByTraffic:
		return nil, &lifecycle.Note{Code: lifecycle.NoPreviousRevision, Text: fmt.Sprintf(
			"the last good revision is the one that was deployed, so going back to it would do the same again; %d units are left as they are", e.Touched)}
	default:
		good := *e.LastGood
		return &good, nil
	}
}
