package strategy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// named are the short names and CodeDeploy's predefined configurations for servers.
var named = map[string]InPlace{
	"all":                           AllAtOnce(),
	"half":                          HalfAtATime(),
	"one":                           OneAtATime(),
	"CodeDeployDefault.AllAtOnce":   AllAtOnce(),
	"CodeDeployDefault.HalfAtATime": HalfAtATime(),
	"CodeDeployDefault.OneAtATime":  OneAtATime(),
}

// Parse reads a strategy as people write it: all, half, one, the names of
// CodeDeploy's predefined configurations, 25% (at least 25 % of the hosts stay
// healthy) or count:3 (at least 3 do).
func Parse(s string) (Strategy, error) {
	if st, ok := named[s]; ok {
		return st, nil
	}
	if n, ok := strings.CutSuffix(s, "%"); ok {
		if v, err := strconv.Atoi(n); err == nil && v >= 0 && v <= 99 {
			return Percent(v), nil
		}
		return nil, fmt.Errorf("strategy %q: the percentage of hosts that stay healthy is a whole number from 0 to 99", s)
	}
	if n, ok := strings.CutPrefix(s, "count:"); ok {
		if v, err := strconv.Atoi(n); err == nil && v >= 0 {
			return Count(v), nil
		}
		return nil, fmt.Errorf("strategy %q: the number of hosts that stay healthy is a whole number, 0 or more", s)
	}
	return nil, fmt.Errorf("strategy %q is unknown: want one of %s, N%% or count:N", s, strings.Join(Names(), ", "))
}

// Names lists the names that Parse knows, sorted.
func Names() []string {
	names := make([]string, 0, len(named))
	for n := range named {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
