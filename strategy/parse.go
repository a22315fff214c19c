package strategy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// named are CodeDeploy's 17 predefined configurations, and short names for the
// first three.
var named = map[string]Strategy{
	"all":  AllAtOnce(),
	"half": HalfAtATime(),
	"one":  OneAtATime(),

	"CodeDeployDefault.AllAtOnce":   AllAtOnce(),
	"CodeDeployDefault.HalfAtATime": HalfAtATime(),
	"CodeDeployDefault.OneAtATime":  OneAtATime(),

	"CodeDeployDefault.ECSAllAtOnce":                    ecs("ECSAllAtOnce", Shift{}),
	"CodeDeployDefault.ECSCanary10Percent5Minutes":      ecs("ECSCanary10Percent5Minutes", Canary(10, 5*time.Minute)),
	"CodeDeployDefault.ECSCanary10Percent15Minutes":     ecs("ECSCanary10Percent15Minutes", Canary(10, 15*time.Minute)),
	"CodeDeployDefault.ECSLinear10PercentEvery1Minutes": ecs("ECSLinear10PercentEvery1Minutes", Linear(10, time.Minute)),
	"CodeDeployDefault.ECSLinear10PercentEvery3Minutes": ecs("ECSLinear10PercentEvery3Minutes", Linear(10, 3*time.Minute)),

	"CodeDeployDefault.LambdaAllAtOnce":                     lambda("LambdaAllAtOnce", Shift{}),
	"CodeDeployDefault.LambdaCanary10Percent5Minutes":       lambda("LambdaCanary10Percent5Minutes", Canary(10, 5*time.Minute)),
	"CodeDeployDefault.LambdaCanary10Percent10Minutes":      lambda("LambdaCanary10Percent10Minutes", Canary(10, 10*time.Minute)),
	"CodeDeployDefault.LambdaCanary10Percent15Minutes":      lambda("LambdaCanary10Percent15Minutes", Canary(10, 15*time.Minute)),
	"CodeDeployDefault.LambdaCanary10Percent30Minutes":      lambda("LambdaCanary10Percent30Minutes", Canary(10, 30*time.Minute)),
	"CodeDeployDefault.LambdaLinear10PercentEvery1Minute":   lambda("LambdaLinear10PercentEvery1Minute", Linear(10, time.Minute)),
	"CodeDeployDefault.LambdaLinear10PercentEvery2Minutes":  lambda("LambdaLinear10PercentEvery2Minutes", Linear(10, 2*time.Minute)),
	"CodeDeployDefault.LambdaLinear10PercentEvery3Minutes":  lambda("LambdaLinear10PercentEvery3Minutes", Linear(10, 3*time.Minute)),
	"CodeDeployDefault.LambdaLinear10PercentEvery10Minutes": lambda("LambdaLinear10PercentEvery10Minutes", Linear(10, 10*time.Minute)),
}

func ecs(name string, s Shift) Strategy { return ECS{Name: "CodeDeployDefault." + name, Shift: s} }
func lambda(name string, s Shift) Strategy {
	return Lambda{Name: "CodeDeployDefault." + name, Shift: s}
}

// Parse reads a strategy as people write it: the names of CodeDeploy's predefined
// configurations; for servers all, half, one, 25% (at least 25 % of the hosts stay
// healthy) and count:3 (at least 3 do).
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
	return nil, fmt.Errorf("strategy %q is unknown: want all, half, one, a percentage such as 25%%, a number such as count:3, or a name of CodeDeploy's such as CodeDeployDefault.OneAtATime", s)
}

// Names lists the names that Parse knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(named)) }
