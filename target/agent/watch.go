package agent

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/transfer"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Start says which agent is started on a host, and how it works there. Its fields
// are those of [Agent] but for Dir, which is in the command that starts it.
type Start struct {
	Digest string      `json:"digest,omitempty"` // of the executable, hex SHA-256. Required
	Umask  fs.FileMode `json:"umask,omitempty"`  // permission bits that the files of revisions do not get; zero: 022, for none say NoUmask

	Root  string        `json:"root,omitempty"`
	Allow []string      `json:"allow,omitempty"`
	Env   []string      `json:"env"`
	Keep  int           `json:"keep,omitempty"`
	Grace time.Duration `json:"grace,omitempty"` // nanoseconds
	Wait  time.Duration `json:"wait,omitempty"`  // nanoseconds
}

// NoUmask is the value of Umask for a umask of 0.
const NoUmask fs.FileMode = 1 << 31

// umask is what the agent is started with, in octal.
func (s Start) umask() string {
	switch s.Umask {
	case 0:
		return "022"
	case NoUmask:
		return "000"
	}
	return fmt.Sprintf("%03o", s.Umask.Perm())
}

func (s Start) identity() string { return s.Digest + "/" + s.umask() }

// Args are the arguments of the executable that make it serve a state directory.
func (s Start) Args(dir string) []string {
	return []string{mainName, "serve", dir, s.umask(), s.Digest}
}

func (s Start) settings() *wire.Settings {
	return &wire.Settings{Root: s.Root, Allow: s.Allow, Env: s.Env, Keep: s.Keep, Grace: s.Grace, Wait: s.Wait}
}

// Watch remembers what was seen of a step, so that asking again after a lost
// connection goes on where it was. The zero value has seen nothing. Use one for each
// step.
type Watch struct {
	// Fetch lets the host get the revision itself, if its source can give an address
	// ([revision.Bundle.Presign]) for it.
	Fetch *revision.Download

	output int64 // how far it was seen
	notes  map[lifecycle.Note]bool
	shared *Sending
}

// request is what is asked for. The content is only offered at the events that need
// it.
func (w *Watch) request(t target.Task) (wire.Request, *transfer.Sender) {
	job := *t.Job
	req := wire.Request{Step: t.Step, Job: &job, Output: w.output, Quiet: t.Output == nil}
	job.Bundle = nil
	if t.Job.Bundle != nil && job.Revision.Digest == "" {
		job.Revision.Digest = t.Job.Bundle.Manifest.Digest()
	}
	switch {
	case !needsContent[t.Step.Event]:
		return req, nil
	case w.Fetch != nil:
		req.Fetch = w.Fetch
		return req, nil
	case t.Job.Bundle == nil:
		return req, nil
	}
	s := w.sender(t.Job.Bundle)
	req.Content = s.Content(t.Step.Event == lifecycle.Start)
	return req, s
}

// needsContent are the events at which a revision comes to a host.
var needsContent = map[lifecycle.Event]bool{lifecycle.Start: true, lifecycle.DownloadBundle: true}

// tell passes a note on that was not passed on before.
func (w *Watch) tell(n lifecycle.Note, to func(lifecycle.Note)) {
	if w.notes == nil {
		w.notes = map[lifecycle.Note]bool{}
	}
	if !w.notes[n] && to != nil {
		to(n)
	}
	w.notes[n] = true
}

// show hands on output that was not seen yet.
func (w *Watch) show(o wire.Output, out io.Writer) {
	if skip := w.output - o.Offset; skip > 0 {
		o.Data = o.Data[min(skip, int64(len(o.Data))):]
	}
	w.output = max(w.output, o.Offset+int64(len(o.Data)))
	if out != nil && len(o.Data) > 0 {
		_, _ = out.Write(o.Data) // whoever watches must not fail a step
	}
}

// Sending is what the sending of one revision to many hosts has in common. The zero
// value is ready, and is safe for concurrent use.
type Sending struct {
	mu     sync.Mutex
	bundle *revision.Bundle
	sender *transfer.Sender
}

// Watch returns a new watch whose revision is sent by way of s.
func (s *Sending) Watch() *Watch { return &Watch{shared: s} }

func (w *Watch) sender(b *revision.Bundle) *transfer.Sender {
	if w.shared == nil {
		w.shared = &Sending{}
	}
	return w.shared.of(b)
}

func (s *Sending) of(b *revision.Bundle) *transfer.Sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bundle != b {
		s.bundle, s.sender = b, transfer.NewSender(b)
	}
	return s.sender
}

// Presign asks the source of the task's revision for an address, if it can give one and
// the step is one at which a revision comes to a host.
func (w *Watch) Presign(ctx context.Context, t target.Task) error {
	b := t.Job.Bundle
	if !needsContent[t.Step.Event] || b == nil || b.Presign == nil {
		return nil
	}
	d, err := b.Presign(ctx)
	if err != nil {
		return fmt.Errorf("no address of the revision can be had: %w", err)
	}
	w.Fetch = &d
	return nil
}
