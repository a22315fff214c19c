package ec2

import "fmt"

// state is how an instance stands with a load balancer, whatever kind that is.
type state string

// The states. Absent is the zero value.
const (
	absent   state = ""         // not registered
	coming   state = "coming"   // registered, and not checked yet
	serving  state = "serving"  // healthy
	sick     state = "sick"     // fails its checks
	draining state = "draining" // deregistered, with requests in progress
	unused   state = "unused"   // registered where no traffic comes
	down     state = "down"     // the instance is not running
	strange  state = "strange"  // something that we do not know
)

// standing is a state with the load balancer's own words.
type standing struct {
	State  state
	Reason string
	Text   string
}

// String is what the load balancer said.
func (s standing) String() string {
	switch {
	case s.State == absent:
		return "not registered"
	case s.Reason == "" && s.Text == "":
		return string(s.State)
	case s.Text == "":
		return fmt.Sprintf("%s (%s)", s.State, s.Reason)
	default:
		return fmt.Sprintf("%s (%s: %s)", s.State, s.Reason, s.Text)
	}
}

// registered reports whether the instance is meant to get requests.
func (s standing) registered() bool {
	return s.State != absent && s.State != draining
}

// step is what follows from a state for a host that is on its way.
type step string

const (
	done     step = "done"
	stay     step = "wait"
	again    step = "again"    // what was asked for is undone: ask once more
	lost     step = "lost"     // there is nobody to wait for
	hopeless step = "hopeless" // it will never come
)

// move is a way into traffic or out of it. What follows from a state is a table.
type move struct {
	doing                                                          string
	absent, coming, serving, sick, draining, unused, down, strange step
}

var (
	allow = move{doing: "registering", absent: again, coming: stay, serving: done, sick: stay, draining: stay, unused: hopeless, down: lost, strange: stay}
	block = move{doing: "deregistering", absent: done, coming: again, serving: again, sick: again, draining: stay, unused: again, down: done, strange: stay}
)

func (m move) judge(s state) step {
	switch s {
	case absent:
		return m.absent
	case coming:
		return m.coming
	case serving:
		return m.serving
	case sick:
		return m.sick
	case draining:
		return m.draining
	case unused:
		return m.unused
	case down:
		return m.down
	default:
		return m.strange
	}
}
