package strategy

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

var (
	simSeeds = flag.Int("sim.seeds", 2000, "how many seeds the simulation runs; in short mode it is a tenth")
	simSeed  = flag.Uint64("sim.seed", 0, "run this one seed, and say what happens")
)

// A simulated group of units lives through a few deployments in a row, of random
// kinds, with random faults: steps fail, replies are lost, the controller crashes
// before or after a write and goes on from its records, somebody stops it or says
// continue, clocks jump while it is down. A controller that is taken for dead may wake
// and go on from what it knew. After every effect and every record the invariants are
// checked against the world itself, not against the state. Their numbers are those of
// the project's list of invariants.

// decider is Next, or a mutant of it; planner is Strategy.Plan, or a mutant of that.
type (
	decider func(*State, time.Time) Decision
	planner func(Strategy, Input) (Plan, error)
)

// violation is what a broken invariant panics with.
type violation struct{ text string }

// place is a unit as it really is.
type place struct {
	unit     lifecycle.Unit
	serving  bool
	revision string
	weight   lifecycle.Weight
	gone     bool
	foreign  bool // somebody else has changed the weight since we did
	sick     bool // takes no traffic
	reported bool // the present deployment has said that it is not well
	moves    int  // moves of the present stage that were done
	stage    int  // the stage those belong to
}

// sim is a world and the controller that acts in it.
type sim struct {
	rng     *rand.Rand
	next    decider
	planner planner
	now     time.Time
	places  []*place
	index   map[string]*place
	done    map[string]*lifecycle.Failure // outcome of every step that had its effect
	effects map[string]int
	trace   uint64
	crashes float64
	verbose func(string, ...any)
	outside // what others do, and what is known of it
	ledger  ledger
	paused  *paused // a former owner who does not know it; nil: none

	// of the present deployment
	plan    Plan
	st      *State
	records []lifecycle.Record        // acknowledged
	open    map[string]lifecycle.Step // asked for and not answered
	order   []string                  // keys of open, in order
	touched map[string]bool
	least   map[int]time.Time // stages that may not be left before
}

func (s *sim) violated(n int, format string, args ...any) {
	panic(violation{fmt.Sprintf("invariant %d: ", n) + fmt.Sprintf(format, args...)})
}

func (s *sim) chance(p float64) bool { return s.rng.Float64() < p }

// newSim makes a world from a seed: all that is random comes from it.
func newSim(seed uint64, next decider) *sim {
	s := &sim{rng: rand.New(rand.NewPCG(seed, 7)), next: next, planner: Strategy.Plan, now: start, index: map[string]*place{},
		done: map[string]*lifecycle.Failure{}, effects: map[string]int{}, verbose: func(string, ...any) {}}
	s.crashes = []float64{0, 0.02, 0.2}[s.rng.IntN(3)]
	s.ledger = ledger{kept: map[string][]lifecycle.Record{}, leased: s.chance(0.5)}
	return s
}

// kind makes a group and a strategy that fits it.
func (s *sim) kind() (Strategy, bool) {
	minimum := []Minimum{{}, {Percent: 50}, {single: true}, {Percent: 25}, {Count: 1}, {Count: 2}, {Percent: 75}}[s.rng.IntN(7)]
	wait := []Wait{{}, {For: time.Minute}, {For: time.Hour, StopOnExpiry: true}, {StopOnExpiry: true}}[s.rng.IntN(4)]
	shift := []Shift{{}, Canary(10, time.Minute), Linear(30, time.Minute), Linear(7, time.Second)}[s.rng.IntN(4)]
	add := func(n int, role lifecycle.Role, zones int) {
		for i := range n {
			u := lifecycle.Unit{ID: fmt.Sprintf("%s%d", role, i), Role: role, Zone: fmt.Sprintf("z%d", i%zones)}
			p := &place{unit: u, revision: "sha256:r0", serving: role != lifecycle.ReplacementRole}
			if p.serving {
				p.weight = 100
			} else {
				p.revision = ""
			}
			s.places, s.index[u.ID] = append(s.places, p), p
		}
	}
	switch k := s.rng.IntN(7); k {
	case 0, 1, 2:
		add(1+s.rng.IntN(9), "", 1+s.rng.IntN(3))
		in := InPlace{Minimum: minimum}
		switch {
		case k == 1:
			in.Zonal = &Zonal{Minimum: Minimum{Count: s.rng.IntN(2)}, Monitor: time.Minute, FirstMonitor: time.Hour}
		case k == 2 && len(s.places) > 2:
			in.Waves, in.WaveHold = [][]string{{s.places[1].unit.ID}}, wait
		}
		return in, s.chance(0.5)
	case 3, 4:
		add(1+s.rng.IntN(4), lifecycle.OriginalRole, 1)
		if s.pool = s.chance(0.5); !s.pool {
			add(1+s.rng.IntN(4), lifecycle.ReplacementRole, 1)
		}
		return BlueGreen{Minimum: minimum, Ready: wait, Termination: Wait{For: time.Minute}, KeepAlive: s.chance(0.5)}, true
	case 5:
		s.divided = true
		add(1, lifecycle.OriginalRole, 1)
		add(1, lifecycle.ReplacementRole, 1)
		return ECS{Shift: shift, Ready: wait, Termination: Wait{For: time.Minute}}, true
	default:
		s.divided = true
		add(1, lifecycle.OriginalRole, 1)
		add(1, lifecycle.ReplacementRole, 1)
		return Lambda{Shift: shift}, true
	}
}

// run lives through the deployments of one seed.
func (s *sim) run() {
	strat, balanced := s.kind()
	s.disturb()
	standing := Standing{LastGood: &revision.Revision{Digest: "sha256:r0"}, Units: map[string]lifecycle.Unit{}}
	for _, p := range s.places {
		u := p.unit
		u.Healthy, u.Revision = p.serving, p.revision
		standing.Units[u.ID] = u
	}
	for n := range 1 + s.rng.IntN(3) {
		in := s.input(fmt.Sprintf("d-%d", n), fmt.Sprintf("sha256:r%d", n+1), standing, balanced)
		end := s.deploy(strat, in)
		if end == nil {
			return
		}
		standing = s.st.Standing()
		if end.Verdict != DeploymentSucceeded && s.chance(0.8) && standing.LastGood != nil {
			back := s.input(in.Deployment+"-back", standing.LastGood.Digest, standing, balanced)
			back.RollbackOf, back.Touched = in.Deployment, s.st.Touched()
			back.Before, back.Weights, back.Provisioned = in.Before, s.st.Weights(), s.st.Provisioned()
			touched := s.touched
			s.sicken()
			end := s.deploy(strat, back)
			if end == nil {
				return
			}
			s.onlyTouched(touched)
			s.checkBack(in.Before, back, end)
			standing = s.st.Standing()
		}
		if _, inPlace := strat.(InPlace); !inPlace {
			return // the roles are played; a further deployment is one of other units
		}
	}
}

func (s *sim) input(id, digest string, st Standing, balanced bool) Input {
	in := Input{Deployment: id, Group: "g", Revision: revision.Revision{Digest: digest}, LastGood: st.LastGood, Balanced: balanced, TestRoute: balanced,
		Pool: s.pool, Before: s.snapshot(), AnyTraffic: s.anyway}
	for _, p := range s.places {
		u := p.unit
		u.Healthy, u.Revision = st.Units[u.ID].Healthy, st.Units[u.ID].Revision
		if p.gone {
			u.Lost, u.Healthy = "gone", false
		}
		in.Units = append(in.Units, u)
	}
	return in
}

// deploy runs one deployment to its end, or returns nil if it is refused or waits
// for ever.
func (s *sim) deploy(strat Strategy, in Input) *End {
	p, err := s.planner(strat, in)
	if err != nil {
		return nil // invariant 8: nothing was touched, since nothing was asked
	}
	s.checkStart(in)
	s.plan, s.st, s.records, s.open, s.order = p, &State{}, nil, map[string]lifecycle.Step{}, nil
	s.touched, s.least = map[string]bool{}, map[int]time.Time{}
	s.expects, s.released = map[string]known{}, map[string]bool{}
	for _, pl := range s.places {
		pl.moves, pl.stage = 0, -1
	}
	data, _ := json.Marshal(p)
	s.write(lifecycle.Record{Kind: lifecycle.Planned, Data: data})
	stopAt := -1
	if s.chance(0.15) {
		stopAt = s.rng.IntN(60)
	}
	for turn := 0; ; turn++ {
		if turn > 5000 {
			s.violated(22, "%s does not come to an end", in.Deployment)
		}
		if turn == stopAt {
			s.write(lifecycle.Record{Kind: lifecycle.Stopped, Data: json.RawMessage(`{"reason":"test"}`)})
		}
		s.rivals()
		d := s.next(s.st, s.now)
		if s.crash() {
			continue
		}
		for _, r := range d.Note {
			s.write(r)
		}
		for _, step := range d.Start {
			s.write(lifecycle.Record{Kind: lifecycle.Started, Step: step})
		}
		if s.crash() {
			continue
		}
		for _, step := range d.Start {
			s.ask(step)
		}
		switch {
		case d.End != nil:
			s.finish(d.End)
			return d.End
		case len(d.Note)+len(d.Start) > 0:
		case len(s.order) > 0:
			s.answer()
		case !d.Wake.IsZero():
			s.now = d.Wake
		default:
			hold, _ := s.st.Hold()
			if hold.Name == "" || hold.For > 0 {
				s.violated(22, "%s has nothing to do and does not end", in.Deployment)
			}
			if s.chance(0.2) {
				return nil // nobody ever says continue
			}
			s.now = s.now.Add(time.Hour)
			s.least[s.st.Stage()] = s.now
			s.write(lifecycle.Record{Kind: lifecycle.Released, Step: s.st.here()})
		}
	}
}

// crash lets the controller die and another one take over from the records. The
// clock may jump meanwhile, backwards too.
func (s *sim) crash() bool {
	if !s.chance(s.crashes) {
		return false
	}
	s.takenOver(s.st)
	s.checkLedger()
	again := &State{}
	for _, r := range s.ledger.read(s.plan.Deployment) {
		if err := again.Apply(r); err != nil {
			s.violated(16, "the records cannot be folded again: %v", err)
		}
	}
	if got, want := text(Next(again, s.now)), text(Next(s.st, s.now)); got != want {
		s.violated(16, "after a crash Next says %s, before it said %s", got, want)
	}
	s.st = again
	s.open, s.order = map[string]lifecycle.Step{}, nil
	if s.chance(0.1) {
		s.now = s.now.Add(time.Duration(s.rng.IntN(7200)-1800) * time.Second)
	}
	for _, step := range again.Running() {
		s.write(lifecycle.Record{Kind: lifecycle.Started, Step: step})
		s.ask(step)
	}
	return true
}

// text is a decision in full.
func text(d Decision) string {
	data, _ := json.Marshal(d) // plain data always marshals
	return string(data)
}

func (s *sim) write(r lifecycle.Record) {
	r.Seq, r.Time, r.Step.Deployment = s.st.Seq()+1, s.now, s.plan.Deployment
	if o, _ := s.st.Outcome(); o != nil {
		s.violated(9, "%s after the end", r.Kind)
	}
	if r.Kind == lifecycle.Released && r.Step.Unit == "" {
		s.checkHold(r)
	}
	if err := s.st.Apply(r); err != nil {
		s.violated(16, "a record does not fit: %v", err)
	}
	if r.Kind == lifecycle.Held {
		s.held(r)
	}
	if !s.ledger.append(s.ledger.owner, r) {
		s.violated(15, "the journal refuses %s %s of the owner", r.Kind, r.Step)
	}
	s.records = append(s.records, r)
	h := fnv.New64a()
	fmt.Fprint(h, s.trace, r.Kind, r.Step, r.Failure != nil, r.Time.UnixNano())
	s.trace = h.Sum64()
	s.verbose("%s %d %s %s %v", r.Time.Sub(start), r.Seq, r.Kind, r.Step, r.Failure)
}

// held notes until when the stage must be held; checkHold that it was.
func (s *sim) held(r lifecycle.Record) {
	if h := s.plan.Stages[r.Step.Stage].Hold; h.For > 0 {
		s.least[r.Step.Stage] = r.Time.Add(h.For)
	} else {
		s.least[r.Step.Stage] = r.Time.Add(1000 * time.Hour)
	}
}

func (s *sim) checkHold(r lifecycle.Record) {
	h := s.plan.Stages[r.Step.Stage].Hold
	until, held := s.least[r.Step.Stage]
	if h.Name != "" && (!held || r.Time.Before(until)) {
		s.violated(23, "stage %d was left at %s, its hold lasts until %s", r.Step.Stage, r.Time.Sub(start), until.Sub(start))
	}
}

// ask hands a step to its unit. Asking twice is legal; doing it twice is not.
func (s *sim) ask(step lifecycle.Step) {
	if !s.recorded(step) {
		s.violated(12, "%s was begun without a record", step)
	}
	for _, other := range s.open {
		if other.Unit == step.Unit && other != step {
			s.violated(10, "%s was begun while %s ran", step, other.Event)
		}
	}
	if w, ok := s.st.Weight(step.Unit); ok {
		s.expects[step.Key()] = weighs(w)
	}
	if _, twice := s.open[step.Key()]; !twice {
		s.open[step.Key()] = step
		s.order = append(s.order, step.Key())
	}
	s.begin(step)
}

func (s *sim) recorded(step lifecycle.Step) bool {
	for i := len(s.records) - 1; i >= 0; i-- {
		if r := s.records[i]; r.Kind == lifecycle.Started && r.Step == step {
			return true
		}
	}
	return false
}

// answer lets one of the steps in progress end, or its reply be lost.
func (s *sim) answer() {
	i := s.rng.IntN(len(s.order))
	key := s.order[i]
	step := s.open[key]
	s.now = s.now.Add(time.Duration(s.rng.IntN(3000)) * time.Millisecond)
	s.interfere()
	f := s.perform(step)
	if f == waiting {
		return
	}
	if s.chance(0.02) {
		return // the reply is lost: the same question will be answered again
	}
	s.order = append(s.order[:i:i], s.order[i+1:]...)
	delete(s.open, key)
	if f != nil && step.Unit != "" {
		s.index[step.Unit].reported = true
	}
	r := lifecycle.Record{Kind: lifecycle.Ended, Step: step, Failure: f}
	if step.Event == lifecycle.Provision {
		r.Data = s.batch()
	}
	s.write(r)
	s.plan = s.st.Plan() // replacements have names now
}

// perform is what a unit does about a step, once, however often it is asked.
func (s *sim) perform(step lifecycle.Step) *lifecycle.Failure {
	if f, known := s.done[step.Key()]; known {
		return f
	}
	if step.Event == lifecycle.Provision {
		f := s.provision(step)
		s.done[step.Key()] = f
		return f
	}
	f := s.waits(step)
	if f != nil {
		return f // nothing was done, so nothing is kept
	}
	if s.chance(0.03) {
		f = &lifecycle.Failure{Code: lifecycle.ScriptFailed, Message: "test"}
	}
	s.done[step.Key()] = f
	if f == nil {
		s.effect(step)
	}
	return f
}

// finish writes the end, and checks what must hold there.
func (s *sim) finish(end *End) {
	data, _ := json.Marshal(Outcome{Verdict: end.Verdict})
	s.write(lifecycle.Record{Kind: lifecycle.Finished, Failure: end.Failure, Data: data})
	if (end.Verdict == DeploymentSucceeded) != (end.Failure == nil) {
		s.violated(29, "verdict %s with failure %v", end.Verdict, end.Failure)
	}
	if len(s.order) > 0 {
		s.violated(21, "%d steps still run at the end", len(s.order))
	}
	s.checkEnd(end)
	s.checkUnmade()
	s.checkLedger()
	if s.chance(0.1) {
		s.orders(s.ledger.ids[s.rng.IntN(len(s.ledger.ids))])
	}
}

// TestSimulation runs fresh seeds and finds no violation; the same seed gives the
// same trace.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		s := newSim(*simSeed, Next)
		s.verbose = t.Logf
		require.Empty(t, try(s))
		return
	}
	first, seeds := rand.Uint64(), *simSeeds
	if testing.Short() {
		seeds /= 10
	}
	for i := range seeds {
		seed := first + uint64(i)
		s := newSim(seed, Next)
		if v := try(s); v != "" {
			t.Fatalf("seed %d: %s (run again with -sim.seed %d)", seed, v, seed)
		}
		if i%50 == 0 { // invariant 32
			again := newSim(seed, Next)
			require.Empty(t, try(again))
			require.Equal(t, s.trace, again.trace, "seed %d is not deterministic", seed)
		}
	}
}

// try runs a world and returns the invariant that was violated, if any.
func try(s *sim) (broken string) {
	defer func() {
		if p := recover(); p != nil {
			v, ok := p.(violation)
			if !ok {
				panic(p)
			}
			broken = v.text
		}
	}()
	s.run()
	return ""
}
