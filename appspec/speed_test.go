package appspec

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// fastest runs two functions in turns and returns the quickest time of each, which
// is what the machine can do when nothing else disturbs.
func fastest(rounds int, a, b func()) (time.Duration, time.Duration) {
	best := [2]time.Duration{time.Hour, time.Hour}
	for range rounds {
		for i, f := range []func(){a, b} {
			start := time.Now()
			f()
			best[i] = min(best[i], time.Since(start))
		}
	}
	return best[0], best[1]
}

// BenchmarkParseBesideReading reports how many times as long reading and checking
// takes as the YAML reader alone, in the same run.
func BenchmarkParseBesideReading(b *testing.B) {
	for name, text := range map[string]string{"server": fullExample, "ecs": ecsText(okService+"PlatformVersion: 1.4.0\n"+okNetwork+
		"CapacityProviderStrategy:\n  - CapacityProvider: FARGATE\n    Base: 1\n    Weight: 2\n  - CapacityProvider: FARGATE_SPOT\n    Weight: 8\n",
		"Hooks:\n  - BeforeInstall: check\n  - AfterInstall: check\n  - AfterAllowTestTraffic: check\n  - BeforeAllowTraffic: check\n  - AfterAllowTraffic: smoke\n"),
		"lambda": lambdaText(okFunction, "Hooks:\n  - BeforeAllowTraffic: check\n  - AfterAllowTraffic: smoke\n")} {
		b.Run(name, func(b *testing.B) {
			data := []byte(text)
			nodes := func() {
				var n yaml.Node
				_ = yaml.NewDecoder(bytes.NewReader(data)).Decode(&n)
			}
			parse := func() { _, _, _ = Parse("appspec.yml", data, Options{}) }
			for b.Loop() {
				alone, whole := fastest(300, nodes, parse)
				b.ReportMetric(float64(whole)/float64(alone), "times-reading")
			}
		})
	}
}

// hostile are inputs that are costly to read, as large as they may be or larger.
func hostile() map[string]string {
	const size = DefaultMaxBytes
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	nested := func(open string) string { return head + "x: " + strings.Repeat(open, 30) }
	out := map[string]string{
		"too large":          strings.Repeat("a: b\n", 1<<20/5),
		"colons":             fill(":"),
		"brackets":           fill("["),
		"braces":             fill("{a: "),
		"dashes":             fill("- "),
		"keys":               head + fill("a:\n"),
		"long keys":          fill("? aaaaaaaaaa\n"),
		"tabs":               fill("\t"),
		"tabbed comments":    fill("\t# a\n"),
		"comments":           fill("# a\n"),
		"comment ends":       "a:\n" + fill(" #\n"),
		"quotes":             head + "x: \"" + fill("\\n"),
		"one quoted text":    head + "x: '" + fill("a\n") + "'\n",
		"block":              head + "x: |\n" + fill("  a\n"),
		"documents":          fill("---\n"),
		"anchors":            head + fill("a: &a b\n"),
		"aliases":            head + "a: &a [" + strings.Repeat("x, ", 9000) + "]\nb: [" + strings.Repeat("*a, ", 100) + "]\n",
		"merges":             head + "a: &a {" + strings.Repeat("x: y, ", 4000) + "}\n" + strings.Repeat("b: {<<: *a}\n", 90),
		"tags":               fill("- !a b\n"),
		"nested":             nested("[") + fill("x, "),
		"flow keys":          fill("[a, b]: c\n"),
		"placeholders":       head + fill("k: ${A}{{B}}\n"),
		"unknown keys":       head + strings.Repeat(strings.Repeat("k", 50)+": 1\n", 4000),
		"unknown events":     head + "hooks:\n" + strings.Repeat("  "+strings.Repeat("E", 40)+": []\n", 4000),
		"many unknown keys":  head + numbered4k("%d"+strings.Repeat("k", 10)+": 1\n"),
		"many events":        head + "hooks:\n" + numbered4k("  E%dfterInstall: []\n"),
		"permissions":        head + "permissions:\n" + numbered4k("  - {object: /a%d, type: [file]}\n"),
		"files":              head + "files:\n" + numbered4k("  - {source: a, destination: /b%d}\n"),
		"shell":              "#!/bin/sh\n" + fill("echo \"a: b\" : c\n"),
		"acl":                head + "permissions: [{object: /a, acls: [" + strings.Repeat("'u:a:r', ", 6000) + "]}]\n",
		"range":              head + "permissions: [{object: /a, context: {type: t, range: 's0:" + strings.Repeat("c0.c1023,", 6000) + "'}}]\n",
		"directive":          "%YAML 1.2\n" + fill("%TAG ! a\n"),
		"resources":          "version: 0.0\nResources:\n" + numbered4k("  - r%d: {Type: AWS::ECS::Service}\n"),
		"subnets":            ecsText(okService+"NetworkConfiguration: {AwsvpcConfiguration: {Subnets: ["+strings.Repeat("a, ", 9000)+"]}}\n", ""),
		"functions":          lambdaText(okFunction, "Hooks:\n"+numbered4k("  - E%d: f\n")),
		"functions together": lambdaText(okFunction, "Hooks:\n  - {"+numbered4k("E%d: f, ")+"}\n"),
	}
	for k, v := range out {
		if k != "too large" && len(v) > size {
			out[k] = v[:size]
		}
	}
	return out
}

func numbered4k(format string) string {
	var b strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestHostileInputsAreCheap holds the worst case at 64 MiB, counting all that is
// allocated on the way. How long each takes is in the log of a verbose run.
func TestHostileInputsAreCheap(t *testing.T) {
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			data := []byte(text)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, _, _ = Parse("a", data, Options{})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			size := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d bytes: %v, %d KiB", len(data), took, size>>10)
			if !raceEnabled { // the detector allocates, too
				require.Less(t, size, uint64(64<<20))
			}
		})
	}
}
