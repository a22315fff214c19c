package strategy

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// ledger is the journal that all controllers of a world write to. What it takes, it
// takes from whoever has the group, and with the next number.
type ledger struct {
	flaws  flaws
	kept   map[string][]lifecycle.Record // by deployment
	ids    []string                      // of the deployments, oldest first
	owner  int                           // who has the group; each that takes over is the next one
	leased bool                          // writes of any other owner are refused, whatever their number
	half   bool                          // whoever died last left half a record at the end
}

// flaws are planted bugs of what controllers and units stand on.
type flaws struct {
	anyNumber   bool // the journal takes a number that is not the next one
	anyOwner    bool // it takes a write of a controller that has lost the group
	anyID       bool // it lets an id be used again
	readsHalf   bool // it reads half a record as a whole one
	dropsMore   bool // with half a record it drops the one before
	sharesGroup bool // it gives the group to two controllers
	startsFirst bool // a controller starts steps before their records are taken
	forgets     bool // units forget a step when its outcome is written
}

// append takes a record, or refuses it.
func (l *ledger) append(owner int, r lifecycle.Record) bool {
	id := r.Step.Deployment
	flawed := l.flaws.anyNumber && r.Seq > 1 || l.flaws.anyID && r.Seq == 1
	switch {
	case l.leased && owner != l.owner && !l.flaws.anyOwner:
		return false
	case r.Seq != int64(len(l.kept[id]))+1 && !flawed:
		return false
	}
	if len(l.kept[id]) == 0 {
		l.ids = append(l.ids, id)
	}
	l.kept[id], l.half = append(l.kept[id], r), false
	return true
}

// read is what whoever takes over finds.
func (l *ledger) read(id string) []lifecycle.Record {
	rs := l.kept[id]
	switch n := len(rs); {
	case l.half && l.flaws.readsHalf:
		return append(slices.Clip(rs), lifecycle.Record{Seq: int64(n) + 1, Kind: lifecycle.Noted})
	case l.half && l.flaws.dropsMore:
		return rs[:n-1]
	default:
		return rs
	}
}

// active lists the deployments that have begun and not ended.
func (l *ledger) active() (ids []string) {
	for _, id := range l.ids {
		if rs := l.kept[id]; rs[len(rs)-1].Kind != lifecycle.Finished {
			ids = append(ids, id)
		}
	}
	return ids
}

func (l *ledger) started(step lifecycle.Step) bool {
	return slices.ContainsFunc(l.kept[step.Deployment], func(r lifecycle.Record) bool {
		return r.Kind == lifecycle.Started && r.Step == step
	})
}

// checkLedger: what was acknowledged is there, all of it, nothing else, in its order.
func (s *sim) checkLedger() {
	rs := s.ledger.read(s.plan.Deployment)
	if len(rs) != len(s.records) {
		s.violated(15, "the journal has %d records, %d were acknowledged", len(rs), len(s.records))
	}
	for i, r := range rs {
		if r.Seq != int64(i)+1 || !same(r, s.records[i]) {
			s.violated(15, "the journal has %s %s at %d, %s %s was acknowledged", r.Kind, r.Step, i+1, s.records[i].Kind, s.records[i].Step)
		}
	}
	if ids := s.ledger.active(); len(ids) > 1 {
		s.violated(10, "%v are active in one group", ids)
	}
}

func same(a, b lifecycle.Record) bool {
	return a.Seq == b.Seq && a.Kind == b.Kind && a.Step == b.Step && a.Time.Equal(b.Time) && a.Failure == b.Failure && bytes.Equal(a.Data, b.Data)
}

// paused is a controller that stood still while another took over. It believes that it
// has the group still.
type paused struct {
	owner int
	st    *State
}

// rivals lets others try what only the owner may do.
func (s *sim) rivals() {
	switch {
	case s.chance(0.01):
		s.orders(s.plan.Deployment + "-other")
	case s.paused != nil && s.chance(0.1):
		s.wake()
	}
}

// orders is somebody who deploys in the group, maybe under an id that was used: for the
// present plan or for another one. Either is refused, and adds nothing.
func (s *sim) orders(id string) {
	if len(s.ledger.active()) > 0 && !s.ledger.flaws.sharesGroup {
		return // the group is not to be had
	}
	data, _ := json.Marshal(s.plan) // plain data always marshals
	r := lifecycle.Record{Seq: 1, Time: s.now, Kind: lifecycle.Planned, Step: lifecycle.Step{Deployment: id}, Data: data}
	_, used := s.ledger.kept[id]
	if s.ledger.append(s.ledger.owner, r) && used {
		s.violated(17, "%s was begun a second time", id)
	}
	s.checkLedger()
}

// wake lets the paused controller go on from what it knew: it sends once more what it
// had sent, decides, and wants to write that. Without a lease it has to be late: before
// the new owner has written anything the two would only have changed places.
func (s *sim) wake() {
	z := s.paused
	if !s.ledger.leased && z.st.Seq() >= int64(len(s.ledger.kept[z.st.Plan().Deployment])) {
		return
	}
	s.paused = nil
	s.verbose("controller %d wakes at record %d of %s", z.owner, z.st.Seq(), z.st.Plan().Deployment)
	for _, step := range z.st.Running() {
		s.late(step)
	}
	d := s.next(z.st, s.now)
	s.writeLate(z, d)
	if s.ledger.flaws.startsFirst {
		for _, step := range d.Start {
			s.late(step)
		}
	}
}

// writeLate offers the journal the first record that follows from an old state. It is
// refused, so nothing follows from it.
func (s *sim) writeLate(z *paused, d Decision) {
	rs := slices.Clone(d.Note)
	for _, step := range d.Start {
		rs = append(rs, lifecycle.Record{Kind: lifecycle.Started, Step: step})
	}
	for _, step := range z.st.Running() {
		rs = append(rs, lifecycle.Record{Kind: lifecycle.Ended, Step: step})
	}
	if d.End != nil {
		rs = append(rs, lifecycle.Record{Kind: lifecycle.Finished, Failure: d.End.Failure})
	}
	if len(rs) == 0 {
		return
	}
	r := rs[0]
	r.Seq, r.Time, r.Step.Deployment = z.st.Seq()+1, s.now, z.st.Plan().Deployment
	if !s.ledger.append(z.owner, r) {
		return
	}
	if s.ledger.leased {
		s.violated(11, "the journal took %s %s from controller %d, and %d has the group", r.Kind, r.Step, z.owner, s.ledger.owner)
	}
	s.checkLedger()
}

// late is a step that comes from a controller that has lost the group. One that the
// owner is waiting for is done now, and his own question is the second one. One that
// was answered is answered again. One that was refused without a trace, since traffic was
// not as expected, is not sent here: whether it is refused once more is the target's
// affair.
func (s *sim) late(step lifecycle.Step) {
	if !s.ledger.started(step) {
		s.violated(18, "%s was started by a controller that has lost the group", step)
	}
	_, waited := s.open[step.Key()]
	_, done := s.done[step.Key()]
	switch {
	case waited && !done:
		s.perform(step)
	case done && !waited && s.ledger.flaws.forgets && step.Unit != "":
		s.effect(step)
	}
}

// takenOver makes a controller the owner, and maybe leaves the former one alive.
func (s *sim) takenOver(former *State) {
	if s.chance(0.5) {
		s.paused = &paused{owner: s.ledger.owner, st: former}
	}
	s.ledger.owner++
	s.ledger.half = s.chance(0.3)
}
