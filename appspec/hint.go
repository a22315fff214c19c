package appspec

import (
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"gopkg.in/yaml.v3"
)

// keyHints tells what people who wrote an unknown key most often meant.
var keyHints = map[string]string{
	"overwrite":          "to replace files that are in the way, write file_exists_behavior: OVERWRITE at the top level",
	"fileexistsbehavior": "at the top level, write file_exists_behavior",
	"run":                "write location: with the script's path",
	"script":             "write location: with the script's path",
	"path":               "write location: for a script, source: and destination: for a file",
	"args":               "arguments cannot be given: put them into the script",
	"exclude":            "files cannot be left out: list what is wanted, or remove them before packing",
	"env":                "variables cannot be set: scripts get those of the deployment",
	"environment":        "variables cannot be set: scripts get those of the deployment",
}

// eventHints are the events that people mean by other names.
var eventHints = map[string]lifecycle.Event{
	"preinstall": lifecycle.BeforeInstall, "beforedeploy": lifecycle.BeforeInstall, "beforedeployment": lifecycle.BeforeInstall,
	"postinstall": lifecycle.AfterInstall, "afterdeploy": lifecycle.ValidateService, "afterdeployment": lifecycle.ValidateService,
	"start": lifecycle.ApplicationStart, "startserver": lifecycle.ApplicationStart, "startapplication": lifecycle.ApplicationStart,
	"stop": lifecycle.ApplicationStop, "stopserver": lifecycle.ApplicationStop, "stopapplication": lifecycle.ApplicationStop,
	"beforestart": lifecycle.AfterInstall, "beforeapplicationstart": lifecycle.AfterInstall,
	"afterstart": lifecycle.ValidateService, "afterapplicationstart": lifecycle.ValidateService,
	"validate": lifecycle.ValidateService, "validation": lifecycle.ValidateService, "healthcheck": lifecycle.ValidateService,
}

// lookalikes are characters that are taken for others when one reads, but not by YAML.
var lookalikes = []struct{ chars, hint string }{
	{"\u00a0\u2000\u2001\u2002\u2003\u2009\u200a\u202f\u3000\u200b\ufeff", "the key holds a character that looks like a space and is none: write spaces"},
	{"\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb", "the key holds typographic quotes: write \" or '"},
	{"\u2010\u2011\u2012\u2013\u2014\u2212", "the key holds a dash of another kind: write -"},
}

// lookalike tells of such characters; empty: there are none.
func lookalike(text string) string {
	for _, l := range lookalikes {
		if strings.ContainsAny(text, l.chars) {
			return l.hint
		}
	}
	return ""
}

// misplaced tells where a key belongs that is known elsewhere.
var misplaced = map[string]string{
	"source": "an entry under files", "destination": "an entry under files",
	"location": "a script under hooks", "timeout": "a script under hooks", "runas": "a script under hooks",
	"object": "an entry under permissions", "pattern": "an entry under permissions",
	"owner": "an entry under permissions", "group": "an entry under permissions",
	"mode": "an entry under permissions", "acls": "an entry under permissions",
	"except": "an entry under permissions",
	"files":  "the top level", "hooks": "the top level", "permissions": "the top level",
	"file_exists_behavior": "the top level",
}

// resourceHints are keyHints for ECS and Lambda.
var resourceHints = map[string]string{
	"servicename":              "the deployment group names the service",
	"clustername":              "the deployment group names the cluster",
	"cluster":                  "the deployment group names the cluster",
	"targetgrouparn":           "the deployment group names the target groups",
	"targetgroups":             "the deployment group names the target groups",
	"targetgroupinfo":          "the deployment group names the target groups",
	"targetgrouppairinfo":      "the deployment group names the target groups and listeners",
	"trafficroutingconfig":     "the deployment configuration says how traffic moves",
	"hostport":                 "only ContainerPort is read",
	"desiredcount":             "an AppSpec cannot change the number of tasks",
	"launchtype":               "write CapacityProviderStrategy, or leave it to the service",
	"requirescompatibilities":  "it belongs to the task definition",
	"deploymentid":             "CodeDeploy gives the id itself",
	"handler":                  "it belongs to the function, not to its deployment",
	"events":                   "they belong to the function, not to its deployment",
	"runtime":                  "it belongs to the function, not to its deployment",
	"subnets":                  "it belongs below NetworkConfiguration and AwsvpcConfiguration",
	"securitygroups":           "it belongs below NetworkConfiguration and AwsvpcConfiguration",
	"assignpublicip":           "it belongs below NetworkConfiguration and AwsvpcConfiguration",
	"awsvpcconfiguration":      "it belongs below NetworkConfiguration",
	"containername":            "it belongs below LoadBalancerInfo",
	"containerport":            "it belongs below LoadBalancerInfo",
	"taskdefinition":           "it belongs below Properties: check the indentation",
	"loadbalancerinfo":         "it belongs below Properties: check the indentation",
	"platformversion":          "it belongs below Properties: check the indentation",
	"networkconfiguration":     "it belongs below Properties: check the indentation",
	"capacityproviderstrategy": "it belongs below Properties: check the indentation",
	"name":                     "it belongs below Properties: check the indentation",
	"alias":                    "it belongs below Properties: check the indentation",
	"currentversion":           "it belongs below Properties: check the indentation",
	"targetversion":            "it belongs below Properties: check the indentation",
	"files":                    "it is for servers",
	"permissions":              "it is for servers",
}

// unknownKey warns of a key that nothing reads.
func (p *parser) unknownKey(e pair, known []string) {
	name := e.name()
	loose := p.platform == lifecycle.Server && len(p.path) == 0 && lifecycle.Server.Takes(lifecycle.Event(name))
	if loose && p.loose != nil {
		p.looseMore++
		p.loose.hint("an event belongs under hooks: indent it, and the " + plural(p.looseMore, "event") + " after it")
		return
	}
	p.push(name)
	defer p.pop()
	pr := p.warn(ErrUnknownField, e.key, "unknown key, it is ignored")
	if e.key.Kind != yaml.ScalarNode {
		pr.Path = ""
		pr.Found = describe(e.key)
	} else if strings.TrimSpace(name) != name || plainKey(name) != name {
		pr.found(name)
	}
	pr.allowed(strings.Join(known, ", "))
	if near := nearest(name, known); near != "" {
		pr.nearest(near)
		return
	}
	pr.hint(p.keyHint(name))
	if loose {
		p.loose = pr
	}
}

// keyHint tells what is known about a key that is not known here; empty: nothing.
func (p *parser) keyHint(name string) string {
	hints, at, where := keyHints, misplaced, "hooks"
	if p.platform != lifecycle.Server {
		hints, at, where = resourceHints, nil, "Hooks"
	}
	switch {
	case lookalike(name) != "":
		return lookalike(name)
	case strings.Contains(name, ":"):
		return "put a space after the colon"
	case hints[normal(name)] != "":
		return hints[normal(name)]
	case at[name] != "":
		return "it belongs to " + at[name] + ": check the indentation"
	case p.platform.Takes(lifecycle.Event(name)):
		return "an event belongs under " + where + ": indent it"
	}
	return ""
}

// normal drops what people vary in a name.
func normal(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == '-' || r == ':' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// nearest returns the known name most like s; empty: none is alike.
func nearest(s string, known []string) string {
	best, bestDist := "", len(s)
	a := normal(s)
	if a == "" || len(a) > maxFound {
		return ""
	}
	for _, k := range known {
		b := normal(k)
		limit := max(1, min(len(a), len(b))/3)
		if max(len(a), len(b))-min(len(a), len(b)) > limit || len(b) > maxFound {
			continue // as many letters would have to be added
		}
		if d := distance(a, b); d < bestDist && d <= limit {
			best, bestDist = k, d
		}
	}
	return best
}

// distance counts the letters to change, add, drop or swap between two names of at
// most maxFound letters.
func distance(a, b string) int {
	var rows [3][maxFound + 1]int
	prev2, prev, cur := rows[0][:len(b)+1], rows[1][:len(b)+1], rows[2][:len(b)+1]
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
