package haproxy_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/target/haproxy"
)

// proxy plays HAProxy's runtime API as far as the package uses it, over pipes in
// memory, so that minutes pass at once in a synctest bubble.
type proxy struct {
	mu       sync.Mutex
	servers  []*server
	commands []string                            // that change something
	refuse   string                              // the answer to these, if not empty
	deaf     int                                 // dials to fail
	dies     func(command, answer string) string // what still comes of an answer; nil: all
}

type server struct {
	backend, name string
	full, set     int
	admin         int
	checks        bool
	down          bool
	sick          bool          // checks fail
	recovers      time.Duration // from out of maintenance to found healthy
	wakes         time.Time
	busyUntil     time.Time // requests end by themselves then; zero: none
	pinned        bool      // pinned clients come until it is in maintenance
}

func (p *proxy) dial(context.Context, string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deaf > 0 {
		p.deaf--
		return nil, fmt.Errorf("connection refused")
	}
	ours, theirs := net.Pipe()
	go p.serve(ours)
	return theirs, nil
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	p.mu.Lock()
	var answer strings.Builder // an empty line ends what each command says
	for command := range strings.SplitSeq(line, ";") {
		answer.WriteString(p.answer(strings.TrimSpace(command)) + "\n")
	}
	text := answer.String()
	if p.dies != nil {
		text = p.dies(line, text)
	}
	p.mu.Unlock()
	fmt.Fprint(conn, text)
}

const columns = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state later_column"

func (p *proxy) answer(command string) string {
	words := strings.Fields(command)
	if words[0] == "show" {
		return p.show(words[1:])
	}
	p.commands = append(p.commands, command)
	if p.refuse != "" {
		return p.refuse
	}
	i := 2
	if words[0] == "shutdown" {
		i = 3
	}
	s := p.find(words[i])
	if s == nil {
		return "No such server.\n"
	}
	switch what := strings.Join(words[i+1:], " "); {
	case words[0] == "shutdown":
		s.busyUntil = time.Time{}
	case words[1] == "weight":
		var percent int
		fmt.Sscanf(what, "%d%%", &percent)
		s.set = s.full * percent / 100
	case what == "state maint":
		s.admin, s.down = 1, true
	case what == "state drain":
		s.admin, s.down = 8, false
	case what == "state ready":
		s.admin = 0
	case what == "health down":
		s.down, s.wakes = true, time.Now().Add(s.recovers)
	}
	return ""
}

func (p *proxy) show(words []string) string {
	if words[0] == "stat" {
		var i int
		fmt.Sscan(words[3], &i)
		s := p.servers[i-1]
		return fmt.Sprintf("# pxname,svname,qcur,scur,status,check_status,check_code,check_desc,last_chk,later,\n%s,%s,0,%d,%s,L4CON,,\"Layer4 connection problem\",Connection refused,,\n",
			s.backend, s.name, s.requests(), s.status())
	}
	table := "1\n" + columns + "\n"
	for i, s := range p.servers {
		if len(words) == 2 || words[2] == s.backend {
			checks := 0
			if s.checks {
				checks = 6
			}
			table += fmt.Sprintf("3 %s %d %s 127.0.0.1 2 %d %d %d 1 1 0 2 %d new\n", s.backend, i+1, s.name, s.admin, s.set, s.full, checks)
		}
	}
	return table
}

func (p *proxy) find(name string) *server {
	for _, s := range p.servers {
		if s.backend+"/"+s.name == name {
			return s
		}
	}
	return nil
}

func (s *server) requests() int {
	if time.Now().Before(s.busyUntil) || s.pinned && s.admin != 1 {
		return 3
	}
	return 0
}

func (s *server) status() string {
	if s.down && s.admin != 1 && !s.sick && s.checks && !time.Now().Before(s.wakes) {
		s.down = false
	}
	switch {
	case s.admin == 1:
		return "MAINT"
	case s.down || s.sick:
		return "DOWN"
	case s.admin == 8:
		return "DRAIN"
	case !s.checks:
		return "no check"
	}
	return "UP"
}

// balancer is a Traffic in front of proxies, which are its sockets by name.
func balancer(proxies map[string]*proxy) *haproxy.Traffic {
	t := &haproxy.Traffic{Dial: func(ctx context.Context, socket string) (net.Conn, error) {
		return proxies[socket].dial(ctx, socket)
	}}
	for name := range proxies {
		t.Sockets = append(t.Sockets, name)
	}
	return t
}

func one(servers ...*server) (*haproxy.Traffic, *proxy) {
	p := &proxy{servers: servers}
	return balancer(map[string]*proxy{"s": p}), p
}

func up(backend, name string) *server {
	return &server{backend: backend, name: name, full: 100, set: 100, checks: true, recovers: 4 * time.Second}
}
