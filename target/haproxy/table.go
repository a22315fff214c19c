package haproxy

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// state is what "show servers state" says of a server.
type state struct {
	id     string // within its backend
	admin  int    // bits, below
	set    int    // weight now
	full   int    // weight by the configuration
	checks int    // bits, below
}

// Bits of srv_admin_state and srv_check_state.
const (
	maintForced   = 0x01 // by a command
	maintFollowed = 0x02 // by another server that this one tracks
	drainForced   = 0x08
	drainFollowed = 0x10
	maintResolver = 0x20 // its name has no address

	checksOn = 0x04
)

const outOfService = maintForced | maintFollowed | drainForced | drainFollowed | maintResolver

// weight is the server's share of its configured weight in percent, rounded.
func (s state) weight() lifecycle.Weight {
	if s.admin&outOfService != 0 || s.set == 0 || s.full == 0 {
		return 0
	}
	return lifecycle.Weight(percent(s.set, s.full))
}

// percent rounds to the nearest.
func percent(part, whole int) int { return (200*part + whole) / (2 * whole) }

// settable refuses a weight that HAProxy would round to another one.
func (s *spot) settable(w lifecycle.Weight) error {
	if w == target.Full && s.full > 0 {
		return nil
	}
	if s.full == 0 || percent(s.full*int(w)/100, s.full) != int(w) {
		return failed(lifecycle.Unsupported, nil, "weight %d of %s cannot be set: it is a percentage of the weight in HAProxy's configuration, which is %d; use one such as 100", w, s, s.full)
	}
	return nil
}

// states reads the servers of some backends; none named: of all.
func (t *Traffic) states(ctx context.Context, socket string, backends []string) (map[Server]state, error) {
	if len(backends) == 0 {
		backends = []string{""}
	}
	all := map[Server]state{}
	for _, b := range backends {
		if err := plain(b); b != "" && err != nil {
			return nil, failed(lifecycle.Unsupported, err, "%v", err)
		}
		command := strings.TrimSpace("show servers state " + b)
		answer, err := t.ask(ctx, socket, command)
		if err != nil {
			return nil, err
		}
		if err := readStates(answer, all); err != nil {
			return nil, failed(lifecycle.TargetFailed, err, "HAProxy at %s answers %q with something unknown: %v", socket, command, err)
		}
	}
	return all, nil
}

// readStates reads a table of version 1: a version, a line of column names, and a
// line per server. Columns are found by name, since later HAProxies add some.
func readStates(answer string, into map[Server]state) error {
	version, rest, _ := strings.Cut(answer, "\n")
	if version != "1" {
		return fmt.Errorf("%.100q is not the version 1 of a table", version)
	}
	names, rest, _ := strings.Cut(rest, "\n")
	column := map[string]int{}
	for i, name := range strings.Fields(strings.TrimPrefix(names, "#")) {
		column[name] = i
	}
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		server, st, err := readState(fields, column)
		if err != nil {
			return err
		}
		into[server] = st
	}
	return nil
}

func readState(fields []string, column map[string]int) (server Server, st state, err error) {
	text := func(name string) string {
		i, ok := column[name]
		if !ok || i >= len(fields) {
			err = fmt.Errorf("there is no %s in it", name)
			return ""
		}
		return fields[i]
	}
	number := func(name string) int {
		n, e := strconv.Atoi(text(name))
		if e != nil && err == nil {
			err = fmt.Errorf("%s is no number: %w", name, e)
		}
		return n
	}
	server = Server{text("be_name"), text("srv_name")}
	st = state{id: text("srv_id"), admin: number("srv_admin_state"), set: number("srv_uweight"), full: number("srv_iweight"), checks: number("srv_check_state")}
	return server, st, err
}

// named lists the servers of that name.
func named(states map[Server]state, unit string) (found []Server) {
	for s := range states {
		if s.Name == unit {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b Server) int { return strings.Compare(a.Backend, b.Backend) })
	return found
}

// row is what "show stat" says of a server.
type row struct {
	status   string // UP, DOWN, DRAIN, MAINT and others, some with more behind
	requests int    // that it has or that wait for it
	reason   string // of the last check
}

// serves says that new requests come to the server.
func (r row) serves() bool { return strings.HasPrefix(r.status, "UP") || r.status == "no check" }

func (r row) idle() bool     { return r.requests == 0 }
func (r row) load() string   { return fmt.Sprintf("%d requests", r.requests) }
func (r row) health() string { return strings.TrimSpace(r.status + ", " + r.reason) }

// up says that the server is in service, or would be if it were not draining.
func (r row) up() bool {
	return r.serves() || r.status == "DRAIN"
}

// look reads how a server does.
func (t *Traffic) look(ctx context.Context, s *spot) (row, error) {
	command := fmt.Sprintf("show stat %s 4 %s", s.Backend, s.id) // 4: servers
	answer, err := t.ask(ctx, s.socket, command)
	if err != nil {
		return row{}, err
	}
	r, err := readRow(answer, s.Server)
	if err != nil {
		return row{}, failed(lifecycle.TargetFailed, err, "HAProxy at %s answers %q with something unknown: %v", s.socket, command, err)
	}
	return r, nil
}

func readRow(answer string, server Server) (r row, err error) {
	lines := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# ")))
	lines.FieldsPerRecord = -1
	lines.LazyQuotes = true
	table, err := lines.ReadAll()
	if err != nil {
		return r, err
	}
	if len(table) != 2 {
		return r, fmt.Errorf("it has %d lines, not 2: was HAProxy given another configuration meanwhile?", len(table))
	}
	field := map[string]string{}
	for i, name := range table[0] {
		if i < len(table[1]) {
			field[name] = table[1][i]
		}
	}
	if found := (Server{field["pxname"], field["svname"]}); found != server {
		return r, fmt.Errorf("it is about %s: was HAProxy given another configuration meanwhile?", found)
	}
	now, err := strconv.Atoi(field["scur"])
	if err != nil {
		return r, fmt.Errorf("scur is no number: %w", err)
	}
	queued, err := strconv.Atoi(field["qcur"])
	if err != nil {
		return r, fmt.Errorf("qcur is no number: %w", err)
	}
	reason := strings.Join(strings.Fields(field["check_status"]+" "+field["check_code"]+" "+field["check_desc"]+" "+field["last_chk"]), " ")
	return row{field["status"], now + queued, reason}, nil
}
