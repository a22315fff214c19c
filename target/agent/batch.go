package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/transfer"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// Batch is what a host is told to do that has no connection to the controller: steps
// of one deployment, done in order up to the first that fails. It goes to the host as
// JSON, in a file or behind an address, for the command
//
//	PROGRAM cutover-agent perform STATE-DIRECTORY BATCH RESULT
//
// The command may be killed and given again, with the same steps: those that have
// ended answer with their recorded outcome, one that is being done is waited for.
type Batch struct {
	Version int              `json:"version"` // set by Encode
	Start   Start            `json:"start"`   // Digest counts for nothing here
	Job     *target.Job      `json:"job"`     // its Bundle does not go along
	Steps   []lifecycle.Step `json:"steps"`

	// Fetch is where the host gets the revision if it does not retain it: an archive, or
	// what [Pack] has written. Nil: nowhere.
	Fetch *revision.Download `json:"fetch,omitempty"`

	// Key signs the result, so that nothing else can be taken for it. It is for this
	// batch alone. Required.
	Key []byte `json:"key"`
}

// Pack writes a revision for [Batch.Fetch], as it was opened: an archive would lose modes
// such as write permission for everybody, and links that lead out. The same revision makes
// the same bytes.
func Pack(ctx context.Context, b *revision.Bundle, w io.Writer) error {
	return transfer.Pack(ctx, b, w)
}

// Result is what came of a batch.
type Result struct {
	// Outcomes are those of the steps, in order, up to the first that failed. Steps
	// that are not here were not done, or nobody can say.
	Outcomes []Outcome `json:"outcomes"`
	// Error says why the batch broke off for a reason that is no step's; empty: it did
	// not.
	Error string `json:"error,omitempty"`
}

// Outcome is the end of one step.
type Outcome struct {
	Key     string             `json:"key"` // Step.Key
	Failure *lifecycle.Failure `json:"failure,omitempty"`
	Notes   []lifecycle.Note   `json:"notes,omitempty"`
}

// minKey is how long a key of a batch must be, in bytes.
const minKey = 16

// Encode makes the text of a batch.
func (b Batch) Encode() ([]byte, error) {
	b.Version = wire.Version
	if b.Job != nil {
		job := *b.Job
		if job.Bundle != nil && job.Revision.Digest == "" {
			job.Revision.Digest = job.Bundle.Manifest.Digest()
		}
		job.Bundle = nil
		b.Job = &job
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

func (b *Batch) check() error {
	switch {
	case b.Version != wire.Version:
		return fmt.Errorf("the batch is of version %d, this agent does version %d: build both from one version of the library", b.Version, wire.Version)
	case b.Job == nil || len(b.Steps) == 0:
		return errors.New("the batch has no job or no steps")
	case len(b.Key) < minKey:
		return fmt.Errorf("the batch has a key of %d bytes to sign its result with: want at least %d", len(b.Key), minKey)
	}
	return nil
}

// signed is a result as it travels.
type signed struct {
	Result json.RawMessage `json:"result"`
	MAC    []byte          `json:"mac"` // HMAC-SHA256 of Result
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

// OpenResult reads a result and checks that it was signed with the key of its batch.
func OpenResult(data, key []byte) (*Result, error) {
	var s signed
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("the result cannot be read, so nobody can say what was done: %w", err)
	}
	if len(key) < minKey || !hmac.Equal(s.MAC, mac(key, s.Result)) {
		return nil, errors.New("the result is not signed with the key of its batch: it is another one's, or was changed")
	}
	r := &Result{}
	if err := json.Unmarshal(s.Result, r); err != nil {
		return nil, fmt.Errorf("the result cannot be read: %w", err)
	}
	return r, nil
}

func sealResult(r *Result, key []byte) ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(signed{Result: data, MAC: mac(key, data)})
}

// performBatch is the command. It succeeds if the result could be delivered, whatever
// is in it.
func performBatch(dir, from, to string, rw io.ReadWriter) error {
	ctx := context.Background()
	data, err := readPlace(ctx, from, rw)
	if err != nil {
		return fmt.Errorf("the batch cannot be had: %w", err)
	}
	b := &Batch{}
	if err := json.Unmarshal(data, b); err != nil {
		return fmt.Errorf("the batch cannot be read: %w", err)
	}
	if err := b.check(); err != nil {
		return err
	}
	if data, err = sealResult(b.perform(ctx, dir), b.Key); err != nil {
		return err
	}
	if err := writePlace(ctx, to, data, rw); err != nil {
		return fmt.Errorf("the result cannot be delivered: %w", err)
	}
	return nil
}

// perform does the steps by way of the agent's process, which goes on if this one is
// killed.
func (b *Batch) perform(ctx context.Context, dir string) *Result {
	r := &Result{}
	for losses := 0; len(r.Outcomes) < len(b.Steps); {
		c, err := b.connect(ctx, dir)
		if err == nil {
			err = b.steps(ctx, c, r)
			_ = c.Close()
		}
		if err == nil {
			break
		}
		if losses++; losses > 10 || !errors.Is(err, ErrLost) && !errors.Is(err, ErrAgain) {
			r.Error = err.Error()
			break
		}
	}
	return r
}

// steps does what is left. An error is no step's failure.
func (b *Batch) steps(ctx context.Context, c *Client, r *Result) error {
	for _, s := range b.Steps[len(r.Outcomes):] {
		o := Outcome{Key: s.Key()}
		t := target.Task{Step: s, Job: b.Job, Note: func(n lifecycle.Note) { o.Notes = append(o.Notes, n) }}
		err := c.Perform(ctx, t, &Watch{Fetch: b.Fetch})
		e, failed := errors.AsType[*lifecycle.Error](err)
		if err != nil && !failed {
			return err
		}
		if failed {
			o.Failure = &e.Failure
		}
		r.Outcomes = append(r.Outcomes, o)
		if failed {
			return nil
		}
	}
	return nil
}

// connect reaches the agent's process of the state directory.
func (b *Batch) connect(ctx context.Context, dir string) (*Client, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := b.Start
	if s.Digest, err = hashFile(self); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	why := make(chan error, 1)
	go func() {
		why <- relay(dir, s.umask(), s.Digest, theirs)
		_ = theirs.Close()
	}()
	in := bufio.NewReader(ours)
	if _, err := in.ReadBytes('\n'); err != nil { // the banner
		return nil, <-why
	}
	return Connect(ctx, buffered{in, ours}, s)
}

// buffered is a connection whose reader may have read ahead.
type buffered struct {
	r *bufio.Reader
	net.Conn
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// readPlace reads a file, standard input or an address.
func readPlace(ctx context.Context, place string, stdin io.Reader) ([]byte, error) {
	switch {
	case place == "-":
		return io.ReadAll(stdin)
	case isAddress(place):
		return httpGet(ctx, place)
	}
	return os.ReadFile(place)
}

func writePlace(ctx context.Context, place string, data []byte, stdout io.Writer) error {
	switch {
	case place == "-":
		_, err := stdout.Write(append(bytes.TrimSpace(data), '\n'))
		return err
	case isAddress(place):
		return httpPut(ctx, place, data)
	}
	return writeFile(place, data)
}
