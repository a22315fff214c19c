package console

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/cutover-deploy/cutover/strategy"
)

// PrintOutcome ends the output with a table: a line for each host, a column for
// each deployment, and what the host has now.
func (t *Tracker) PrintOutcome(out io.Writer, ids []string) {
	var states []*strategy.State
	for _, id := range ids {
		if st := t.State(id); st.Plan().Deployment != "" {
			states = append(states, st)
		}
	}
	if len(states) == 0 {
		return
	}
	fmt.Fprintln(out)
	tw := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header(states), "\t"))
	end := states[len(states)-1]
	for _, u := range end.Units() {
		row := []string{Clean(u.ID)}
		for _, st := range states {
			row = append(row, outcome(st, u.ID))
		}
		row = append(row, running(states, end.Standing().Units[u.ID].Revision))
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush()
}

func header(states []*strategy.State) []string {
	cells := []string{"HOST"}
	for _, st := range states {
		p := st.Plan()
		if p.RollbackOf != "" {
			cells = append(cells, "ROLLBACK TO "+Name(p.Revision))
		} else {
			cells = append(cells, "REVISION "+Name(p.Revision))
		}
	}
	return append(cells, "HAS NOW")
}

// outcome is how a deployment ended for a host.
func outcome(st *strategy.State, id string) string {
	for _, u := range st.Units() {
		switch {
		case u.ID != id:
		case u.Status == strategy.Failed:
			return strings.TrimSpace("failed at " + string(u.Event))
		case u.Status == strategy.Pending:
			return "not touched"
		default:
			return strings.ToLower(string(u.Status))
		}
	}
	return "-"
}

// running names the revision with a digest, if one of the deployments had it.
func running(states []*strategy.State, digest string) string {
	if digest == "" {
		return "unknown"
	}
	for _, st := range states {
		p := st.Plan()
		if p.Revision.Digest == digest {
			return "revision " + Name(p.Revision)
		}
		if p.LastGood != nil && p.LastGood.Digest == digest {
			return "revision " + Name(*p.LastGood)
		}
	}
	return digest[:min(len(digest), 19)]
}
