package onprem

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cutover-deploy/cutover/target/agent"
)

// startScript starts the agent, and takes the executable first if it is not there. It
// has no single quotes, since it goes as one quoted word through whatever shell the
// login has. The lines that begin with "cutover-" are for us; the first line ends what the
// login shell has printed.
const startScript = `echo; d=$1; h=$2; u=$3
if [ -z "$d" ]; then if [ "$(id -u)" = 0 ]; then d=/var/lib/cutover; else d="$HOME/.local/state/cutover"; fi; fi
a="$d/.agents"
if [ ! -x "$a/$h" ]; then
echo "cutover-need $(uname -sm) $(command -v gzip >/dev/null && echo gzip)"
read -r h n z || exit 1
if [ ! -x "$a/$h" ]; then
[ -d "$d" ] || { (umask 022; mkdir -p "$d") && chmod 711 "$d"; } || exit 1
umask 077
[ -d "$a" ] || mkdir "$a" || [ -d "$a" ] || exit 1
t=$(mktemp "$a/new.XXXXXXXX") || exit 1
echo cutover-send
head -c "$n" | ${z:-cat} >"$t" && chmod 700 "$t" && "$t" cutover-agent install "$a/$h" "$h" || { rm -f "$t"; exit 1; }
fi
fi
exec "$a/$h" cutover-agent serve "$d" "$u" "$h"`

// command is what is run on the host.
func (h *SSH) command(p *program) string {
	args := []string{"sh", "-c", startScript, "sh", h.State, p.digest, h.start(p).Args("")[3]}
	if h.Sudo {
		args = append([]string{"sudo", "-n", "--"}, args...)
	}
	for i, a := range args {
		args[i] = quote(a)
	}
	return "exec " + strings.Join(args, " ")
}

// quote makes one word of a text, in any shell of the Bourne family, fish and csh.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// session is the agent's standard input and output.
type session struct {
	*ssh.Session
	on  *client
	in  io.WriteCloser
	out *bufio.Reader
	err *tail

	limit   time.Duration // of silence, until the agent has introduced itself
	silence *time.Timer
	ready   atomic.Bool // silence is no matter any more
	silent  atomic.Bool // the session was ended for it
}

// progress begins the time of silence anew.
func (s *session) progress(n int) {
	if n > 0 && !s.ready.Load() {
		s.silence.Reset(s.limit)
	}
}

// giveUp ends a session that has been silent for too long.
func (s *session) giveUp() {
	if !s.ready.Load() {
		s.silent.Store(true)
		_ = s.Close()
	}
}

func (s *session) Read(p []byte) (int, error) {
	n, err := s.out.Read(p)
	s.progress(n)
	return n, err
}

func (s *session) Write(p []byte) (int, error) {
	n, err := s.in.Write(p)
	s.progress(n)
	return n, err
}

// Close ends the connection: it is the session's alone, and OpenSSH leaves a session that
// is closed open for as long as its command runs. What the agent is doing goes on.
func (s *session) Close() error { return s.on.Close() }

// startAgent starts the agent on a host that is logged in to, and shakes hands.
func (h *SSH) startAgent(ctx context.Context, c *client) (*agent.Client, error) {
	p, err := h.Access.own()
	if err != nil && h.Access.Executables == "" {
		return nil, &setupError{err}
	}
	if p == nil {
		p = &program{digest: "none"}
	}
	s, err := openSession(ctx, c, h.Access.dial())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	defer s.silence.Stop()
	if err = s.Start(h.command(p)); err == nil {
		p, err = h.await(s, p)
	}
	if err != nil {
		_ = s.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	client, err := agent.Connect(ctx, s, h.start(p))
	if err != nil {
		return nil, s.said(err)
	}
	s.ready.Store(true)
	return client, nil
}

func openSession(ctx context.Context, c *client, limit time.Duration) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	raw, err := c.session(ctx)
	if err != nil {
		return nil, fmt.Errorf("no session is granted: %w", err)
	}
	s := &session{Session: raw, on: c, err: &tail{}, limit: limit}
	s.silence = time.AfterFunc(limit, s.giveUp)
	raw.Stderr = s.err
	out, err := raw.StdoutPipe()
	if err == nil {
		s.in, err = raw.StdinPipe()
	}
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReaderSize(out, 64<<10)
	return s, nil
}

// maxNoise bounds what a login shell may print before the agent says something.
const maxNoise = 256 << 10

// await reads lines until the agent says that it is there, and sends the executable
// when it is asked for. What else is printed is noise of the login shell.
func (h *SSH) await(s *session, p *program) (*program, error) {
	var parcel parcel
	for noise := 0; noise < maxNoise; {
		text, err := s.out.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, s.said(err)
		}
		line := string(text)
		s.progress(len(line))
		noise += len(line)
		switch word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); {
		case word == "cutover-need":
			uname, gzips := strings.CutSuffix(rest, " gzip")
			if p, err = h.Access.forPlatform(uname); err != nil {
				return nil, &setupError{err}
			}
			s.silence.Stop() // to compress it is our own time
			if parcel, err = p.parcel(gzips && !h.Access.plain); err != nil {
				return nil, &setupError{err}
			}
			s.silence.Reset(s.limit)
			if _, err := fmt.Fprintf(s.in, "%s %d %s\n", p.digest, parcel.size, parcel.unpack); err != nil {
				return nil, s.said(err)
			}
		case word == "cutover-send":
			if err := parcel.send(s); err != nil {
				return nil, s.said(err)
			}
		case agent.IsBanner(line):
			return p, nil
		}
	}
	return nil, errors.New("the login shell prints without end")
}

// said adds what the host has printed as error, and how the session ended.
func (s *session) said(err error) error {
	if s.silent.Load() {
		return fmt.Errorf("the host was silent for %v when the agent was started", s.limit)
	}
	_ = s.in.Close()
	if end := s.Wait(); end != nil && errors.Is(err, io.EOF) {
		err = end
	}
	text := strings.TrimSpace(s.err.String())
	switch {
	case text == "":
		return fmt.Errorf("the agent cannot be started: %w", err)
	case sudoRefuses(text):
		return &setupError{fmt.Errorf("sudo refuses (%s): let the account use sudo without a password, or leave out Sudo", text)}
	case strings.Contains(text, "not found") && strings.Contains(text, ".agents/"), strings.Contains(text, "Exec format error"):
		return &setupError{fmt.Errorf("the executable does not run there (%s): build it with CGO_ENABLED=0, for the host's platform", text)}
	case strings.Contains(text, "Permission denied") && strings.Contains(text, ".agents/"):
		return &setupError{fmt.Errorf("the executable may not be run there (%s): set State to a directory of a file system that is not mounted noexec", text)}
	}
	return fmt.Errorf("the agent cannot be started: %s (%w)", text, err)
}

// sudoRefuses tells a refusal from what sudo says by the way, such as that it cannot
// look up the host's own name.
func sudoRefuses(text string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "sudo:") && !strings.Contains(line, "unable to resolve host") {
			return true
		}
	}
	return false
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	t.buf = t.buf[max(0, len(t.buf)-tailSize):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
