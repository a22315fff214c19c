// Package lambda is AWS Lambda in the process, for tests and examples: functions with
// versions and aliases, behind an [awsfake.API].
//
// It models what a deployment depends on. An alias changes only for who knows its
// revision id, weights are checked, and an update without weights leaves them as they
// are. New code and new versions take [World.Settle] until they are ready; provisioned
// concurrency takes [World.Warm], and an alias that has it passes through weights of its
// own meanwhile. Invoke calls Go code. Every routing that an alias has had is kept.
package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/cutover-deploy/cutover/internal/awsfake"
)

// World is the Lambda of an account. Set the fields before first use.
type World struct {
	Settle time.Duration // until new code and a new version are ready
	Warm   time.Duration // until provisioned concurrency is there

	mu        sync.Mutex
	functions map[string]*function
	changes   int
}

// Code is what runs when a function is invoked. It answers at once: nothing else of
// the API is answered meanwhile.
type Code func(ctx context.Context, payload []byte) ([]byte, error)

// Routing says which share of an alias's calls each version gets; they add up to 1.
type Routing map[string]float64

// Route is a routing that an alias had.
type Route struct {
	At      time.Time
	Routing Routing
}

type function struct {
	name        string
	latest      config
	versions    map[string]*config
	made        int // versions
	aliases     map[string]*alias
	provisioned map[string]*provisioned
	code        Code
	invoked     [][]byte
}

// config is a version, or $LATEST.
type config struct {
	sha      string
	revision string
	ready    time.Time // Pending, or InProgress, until then
	state    types.State
	status   types.LastUpdateStatus
}

type alias struct {
	version  string
	weights  map[string]float64
	revision string
	routes   []Route
	// While provisioned concurrency moves, the version before has a part of the calls.
	before string
	until  time.Time
}

type provisioned struct {
	n     int32
	ready time.Time
	fails bool
}

// New makes an empty world and puts it behind the API.
func New(api *awsfake.API) *World {
	w := &World{functions: map[string]*function{}}
	w.handle(api)
	return w
}

// Create makes a function whose version 1 has the code; its $LATEST too.
func (w *World) Create(name, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &function{name: name, versions: map[string]*config{}, aliases: map[string]*alias{}, provisioned: map[string]*provisioned{}}
	f.latest = w.config(Sum([]byte(code)), 0)
	w.functions[name] = f
	w.publish(f)
}

// Sum is what Lambda calls the SHA-256 of code.
func Sum(code []byte) string {
	sum := sha256.Sum256(code)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (w *World) config(sha string, settle time.Duration) config {
	return config{sha: sha, revision: w.revision(), ready: time.Now().Add(settle), state: types.StateActive, status: types.LastUpdateStatusSuccessful}
}

func (w *World) revision() string {
	w.changes++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", w.changes)
}

// Publish changes the code and publishes it, at once; it returns the version.
func (w *World) Publish(name, code string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.functions[name]
	f.latest = w.config(Sum([]byte(code)), 0)
	return w.publish(f)
}

// publish returns the newest version where nothing has changed since.
func (w *World) publish(f *function) string {
	if newest := f.versions[strconv.Itoa(f.made)]; newest != nil && newest.sha == f.latest.sha {
		return strconv.Itoa(f.made)
	}
	f.made++
	v := w.config(f.latest.sha, 0)
	f.versions[strconv.Itoa(f.made)] = &v
	return strconv.Itoa(f.made)
}

// Point makes an alias, or changes it as somebody else does. Weights are those of
// further versions; nil: none.
func (w *World) Point(name, aliasName, version string, weights map[string]float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.functions[name]
	if f.aliases[aliasName] == nil {
		f.aliases[aliasName] = &alias{}
	}
	w.route(f.aliases[aliasName], version, maps.Clone(weights))
}

func (w *World) route(a *alias, version string, weights map[string]float64) {
	a.version, a.weights, a.revision = version, weights, w.revision()
	now := time.Now()
	if n := len(a.routes); n == 0 || !maps.Equal(a.routes[n-1].Routing, a.routing(now)) {
		a.routes = append(a.routes, Route{now, a.routing(now)})
	}
}

func (a *alias) routing(now time.Time) Routing {
	r := Routing{a.version: 1}
	for v, share := range a.shown(now) {
		if share > 0 {
			r[v] = share
			r[a.version] -= share
		}
	}
	maps.DeleteFunc(r, func(_ string, share float64) bool { return share < 1e-9 })
	return r
}

// shown are the weights that a reader sees, Lambda's own included.
func (a *alias) shown(now time.Time) map[string]float64 {
	if now.Before(a.until) {
		return map[string]float64{a.before: 0.5}
	}
	return a.weights
}

// Routing is how the alias sends its calls now.
func (w *World) Routing(name, aliasName string) Routing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.functions[name].aliases[aliasName].routing(time.Now())
}

// Routes are all routings that the alias has had, but those that Lambda makes by
// itself.
func (w *World) Routes(name, aliasName string) []Route {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.functions[name].aliases[aliasName].routes)
}

// Versions lists the published versions in their order.
func (w *World) Versions(name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.functions[name].list()
}

func (f *function) list() []string {
	var out []string
	for n := range f.made {
		if v := strconv.Itoa(n + 1); f.versions[v] != nil {
			out = append(out, v)
		}
	}
	return out
}

// Delete deletes a version.
func (w *World) Delete(name, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.functions[name].versions, version)
}

// DeleteAlias deletes an alias.
func (w *World) DeleteAlias(name, aliasName string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.functions[name].aliases, aliasName)
}

// SetState says how a version is.
func (w *World) SetState(name, version string, s types.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.functions[name].versions[version].state = s
}

// Busy makes an update of the function's $LATEST take a while, as if somebody had just
// begun one.
func (w *World) Busy(name string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.functions[name].latest.ready = time.Now().Add(d)
}

// FailUpdates lets the present update of the function end as a failure.
func (w *World) FailUpdates(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.functions[name].latest.status = types.LastUpdateStatusFailed
}

// Provision gives a version or an alias provisioned concurrency that is ready; with
// fails it never gets ready again.
func (w *World) Provision(name, qualifier string, n int32, fails bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.functions[name].provisioned[qualifier] = &provisioned{n: n, fails: fails}
}

// Provisioned is how much provisioned concurrency there is for a version or an alias.
func (w *World) Provisioned(name, qualifier string) int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.functions[name].provisioned[qualifier]; p != nil {
		return p.n
	}
	return 0
}

// On says what the function does when it is invoked. A function that is invoked need
// not have been created.
func (w *World) On(name string, code Code) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.functions[name] == nil {
		w.functions[name] = &function{name: name}
	}
	w.functions[name].code = code
}

// Invoked returns the payloads that a function was invoked with.
func (w *World) Invoked(name string) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.functions[name].invoked)
}

// bare is the name in an ARN, without a qualifier.
func bare(name string) string {
	if _, rest, ok := strings.Cut(name, ":function:"); ok {
		name = rest
	}
	name, _, _ = strings.Cut(name, ":")
	return name
}

// ARN is that of a function, or of one of its versions or aliases.
func ARN(name, qualifier string) string {
	arn := fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", awsfake.Region, awsfake.Account, name)
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}
