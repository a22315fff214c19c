package lambda

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// routing is where an alias leads: the version that it points to, and the shares of
// others, in percent.
type routing struct {
	version  string
	weights  map[string]float64
	revision string // the alias's revision id
}

// routingOf reads an answer. One without a version is none.
func routingOf(out *lambda.GetAliasOutput) (routing, bool) {
	r := routing{version: aws.ToString(out.FunctionVersion), revision: aws.ToString(out.RevisionId), weights: map[string]float64{}}
	if out.RoutingConfig != nil {
		for v, w := range out.RoutingConfig.AdditionalVersionWeights {
			if w > 0 {
				r.weights[v] = math.Round(w*1e8) / 1e6
			}
		}
	}
	return r, r.version != ""
}

// plain is a routing between the two versions of the deployment: unit has w percent,
// and the other one the rest.
func (a *Alias) plain(unit string, w lifecycle.Weight) routing {
	share := w
	if unit == a.original() {
		share = target.Full - w
	}
	switch share {
	case 0:
		return routing{version: a.original()}
	case target.Full:
		return routing{version: a.replacement()}
	}
	return routing{version: a.original(), weights: map[string]float64{a.replacement(): float64(share)}}
}

// share is the percentage of calls that a version gets.
func (r routing) share(version string) float64 {
	if r.version != version {
		return r.weights[version]
	}
	rest := 100.0
	for _, w := range r.weights {
		rest -= w
	}
	return rest
}

// same reports whether two routings send every call alike.
func (r routing) same(o routing) bool {
	for _, v := range append(r.versions(), o.versions()...) {
		if math.Abs(r.share(v)-o.share(v)) > 1e-6 {
			return false
		}
	}
	return true
}

// is reports whether the alias is written the way o is: it may send calls alike and
// still point to another version, with a weight of all of them.
func (r routing) is(o routing) bool { return r.version == o.version && r.same(o) }

func (r routing) versions() []string {
	vs := []string{r.version}
	for v := range r.weights {
		vs = append(vs, v)
	}
	slices.Sort(vs[1:])
	return vs
}

// String says it in words: 90 % to version 4, 10 % to version 5.
func (r routing) String() string {
	var parts []string
	for _, v := range r.versions() {
		parts = append(parts, fmt.Sprintf("%g %% to version %s", r.share(v), v))
	}
	return strings.Join(parts, ", ")
}

// Weights are the shares in whole percent, for records.
func (r routing) snapshot() map[string]lifecycle.Weight {
	all := map[string]lifecycle.Weight{}
	for _, v := range r.versions() {
		if w := lifecycle.Weight(math.Round(r.share(v))); w > 0 {
			all[v] = w
		}
	}
	return all
}

// input is the update that makes the alias lead there. Weights are always said: what is
// left out stays as it is.
func (a *Alias) input(to routing, revision string) *lambda.UpdateAliasInput {
	weights := map[string]float64{}
	for v, share := range to.weights {
		weights[v] = share / 100
	}
	in := &lambda.UpdateAliasInput{FunctionName: &a.Spec.Function.Name, Name: &a.Spec.Function.Alias, FunctionVersion: aws.String(to.version)}
	in.RoutingConfig = routingConfig(weights)
	if revision != "" {
		in.RevisionId = aws.String(revision)
	}
	return in
}
