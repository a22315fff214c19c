package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// keepSteps is how many deployments' outcomes a host remembers. It is far more
// than the revisions it retains: an outcome is small, and forgetting one means
// that a very late repetition of its step runs again.
const keepSteps = 100

// outcome is what the host remembers of a step. It is written before a script
// starts, after each one, and when the step has ended; so a step that was cut off
// shows which scripts had finished and which one had not.
type outcome struct {
	Key     string             `json:"key"`
	Running string             `json:"running,omitempty"` // script that was started and not seen to end
	Done    int                `json:"done,omitempty"`    // scripts of the event that have finished well
	Ended   bool               `json:"ended,omitempty"`
	Failure *lifecycle.Failure `json:"failure,omitempty"` // of an ended step; nil: success
	Notes   []lifecycle.Note   `json:"notes,omitempty"`
	Printed *span              `json:"printed,omitempty"` // where in the log its output is; nil: it had no scripts
}

func (a *Agent) outcomePath(s lifecycle.Step) string {
	sum := sha256.Sum256([]byte(s.Key()))
	name := part(string(s.Event)) + "-" + hex.EncodeToString(sum[:8]) + ".json"
	return filepath.Join(a.dir(), stepsDir, part(s.Deployment), name)
}

// recall reads what is remembered of a step; one that never began is empty.
func (a *Agent) recall(s lifecycle.Step) (*outcome, error) {
	o := &outcome{}
	if _, err := readJSON(a.outcomePath(s), o); err != nil {
		return nil, fail(s, lifecycle.Unknown, "the record of this step cannot be read, so nobody can say whether it was done: %v; check the host and remove the file", err)
	}
	o.Key = s.Key()
	return o, nil
}

func (a *Agent) remember(s lifecycle.Step, o *outcome) error {
	if err := writeJSON(a.outcomePath(s), o); err != nil {
		return fail(s, lifecycle.TargetFailed, "the outcome of the step cannot be recorded on the host: %v", err)
	}
	return nil
}

// result is the recorded outcome as Perform returns it.
func (o *outcome) result(s lifecycle.Step) error {
	if o.Failure == nil {
		return nil
	}
	return &lifecycle.Error{Step: s, Failure: *o.Failure}
}

// forget drops the outcomes of the oldest deployments. It is best effort: what
// cannot be removed now is tried again next time.
func (a *Agent) forget() {
	dir := filepath.Join(a.dir(), stepsDir)
	old := byAge(dir)
	for _, name := range old[:max(0, len(old)-keepSteps)] {
		_ = os.RemoveAll(filepath.Join(dir, name))
	}
}

// byAge lists the folders in dir, the one changed longest ago first.
func byAge(dir string) []string {
	entries, _ := os.ReadDir(dir)
	type aged struct {
		name string
		time int64
	}
	var all []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() {
			all = append(all, aged{e.Name(), info.ModTime().UnixNano()})
		}
	}
	slices.SortStableFunc(all, func(x, y aged) int {
		switch {
		case x.time < y.time:
			return -1
		case x.time > y.time:
			return 1
		}
		return 0
	})
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.name
	}
	return names
}
