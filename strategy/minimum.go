package strategy

import (
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Minimum is CodeDeploy's rule of minimum healthy hosts. The zero Minimum: none.
type Minimum struct {
	Percent int // FLEET_PERCENT, 0 to 99
	Count   int // HOST_COUNT; used when Percent is 0
	single  bool
}

// Least turns the rule into a number of n units, once, at the start, rounded up,
// as CodeDeploy does.
func (m Minimum) Least(n int) int {
	switch {
	case m.single:
		return max(0, n-1)
	case m.Percent > 0:
		return (n*m.Percent + 99) / 100
	default:
		return m.Count
	}
}

// valid refuses numbers outside CodeDeploy's limits.
func (m Minimum) valid() error {
	switch {
	case m.Percent < 0 || m.Percent > 99:
		return refuse(lifecycle.HealthConstraintsInvalid, "minimum healthy is %d %%: want 0 to 99", m.Percent)
	case m.Count < 0:
		return refuse(lifecycle.HealthConstraintsInvalid, "minimum healthy is %d hosts: want 0 or more", m.Count)
	default:
		return nil
	}
}

// Pace turns the rule into a pace for a group of n units. A minimum that leaves no
// unit free is refused.
func (m Minimum) Pace(n int) (Pace, Rule, error) {
	if n == 0 {
		return Pace{}, Rule{}, refuse(lifecycle.NoUnits, "there is nothing to deploy to: the target has no units")
	}
	if err := m.valid(); err != nil {
		return Pace{}, Rule{}, err
	}
	least := m.Least(n)
	rule := m.rule(n, least)
	if least >= n {
		return Pace{}, Rule{}, refuse(lifecycle.HealthConstraintsInvalid,
			"%s, so none of the %d may be taken out of service; lower the minimum, add hosts, or deploy one at a time", rule.Text, n)
	}
	limit := n - least
	if m.single {
		limit = 1
	}
	rule.Text += fmt.Sprintf(", up to %d at once", limit)
	return Pace{MinHealthy: least, Limit: limit, FailFirst: m.single}, rule, nil
}

func (m Minimum) rule(n, least int) Rule {
	switch {
	case m.single:
		return Rule{fmt.Sprintf("one at a time: %d of %d stay healthy", least, n), "CodeDeploy: MOST_CONCURRENCY 1"}
	case m.Percent > 0:
		return Rule{fmt.Sprintf("%d %% of %d, rounded up: at least %d stay healthy", m.Percent, n, least), "CodeDeploy: FLEET_PERCENT"}
	default:
		return Rule{fmt.Sprintf("at least %d of %d stay healthy", least, n), "CodeDeploy: HOST_COUNT"}
	}
}

// String names the rule, as [Parse] reads it.
func (m Minimum) String() string {
	switch {
	case m.single:
		return "one"
	case m.Percent > 0:
		return fmt.Sprintf("%d%%", m.Percent)
	case m.Count > 0:
		return fmt.Sprintf("count:%d", m.Count)
	default:
		return "all"
	}
}
