package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
)

// bannerName begins the line that an agent says first. What a login shell printed
// before it is no part of the protocol.
const bannerName = "cutover-agent"

// Banner is the line, with its end.
func Banner(digest string) string { return fmt.Sprintf("%s %d %s\n", bannerName, Version, digest) }

// ParseBanner reads a line. Ok: it is a banner.
func ParseBanner(line string) (version int, digest string, ok bool) {
	n, err := fmt.Sscanf(strings.TrimSuffix(line, "\n"), bannerName+" %d %s", &version, &digest)
	return version, digest, err == nil && n == 2
}

// Hello is how each side introduces itself.
type Hello struct {
	Version int    `json:"version"`
	Digest  string `json:"digest"` // of the executable, hex SHA-256

	Settings *Settings `json:"settings,omitempty"` // controller: how the agent is to work
	PID      int       `json:"pid,omitempty"`      // agent: of the process that does the steps
}

// Settings are the fields of an agent that the controller decides.
type Settings struct {
	Root  string        `json:"root,omitempty"`
	Allow []string      `json:"allow,omitempty"`
	Env   []string      `json:"env"` // nil: the fixed one
	Keep  int           `json:"keep,omitempty"`
	Grace time.Duration `json:"grace,omitempty"`
	Wait  time.Duration `json:"wait,omitempty"`
}

// Wait says what the agent waits for before it can introduce itself.
type Wait struct {
	For string `json:"for"`
}

// Refusal says why there will be no conversation.
type Refusal struct {
	Why string `json:"why"`
}

// Request asks for a step. The same step may be asked for any number of times.
type Request struct {
	Step lifecycle.Step `json:"step"`
	Job  *target.Job    `json:"job,omitempty"` // without Bundle; nil: that of the request before

	// Output is how many bytes of the step's output the controller has come past already,
	// before it lost sight of it. Notes all come again.
	Output int64 `json:"output,omitempty"`
	Quiet  bool  `json:"quiet,omitempty"` // no output is wanted

	Content *Content           `json:"content,omitempty"` // what the controller can send; nil: nothing
	Fetch   *revision.Download `json:"fetch,omitempty"`   // where the host can get it itself
}

// Content describes a revision that can be sent.
type Content struct {
	Kind   revision.Kind `json:"kind"`
	Digest string        `json:"digest"` // of the manifest
	Notes  []string      `json:"notes,omitempty"`
	Chunks []byte        `json:"chunks"` // [ChunkIDSize] bytes for each chunk of the manifest; empty: to be asked for
}

// Want asks for a part of the content: first chunks of the manifest, then files.
// Each is answered by one compressed stream.
type Want struct {
	List   bool     `json:"list,omitempty"` // the list of chunks
	Chunks []int    `json:"chunks,omitempty"`
	Files  [][2]int `json:"files,omitempty"` // ranges of entries of the manifest: first, and how many
}

// MaxPiece is how long one frame of data is at most, and MaxAhead how much of a request's
// data the controller may send that the agent has not taken yet. What is more would pile
// up in sshd, which copies a backlog with each packet that it adds: that costs more than
// all else that is done with a revision.
const (
	MaxPiece = 64 << 10
	MaxAhead = 512 << 10
)

// Taken encodes how many bytes of a request's data have been taken, since it was opened.
func Taken(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// ParseTaken decodes it.
func ParseTaken(p []byte) (int64, error) {
	if len(p) != 8 {
		return 0, errors.New("a frame about what was taken does not have 8 bytes")
	}
	return int64(binary.BigEndian.Uint64(p)), nil
}

// Answer closes a request.
type Answer struct {
	Failure *lifecycle.Failure `json:"failure,omitempty"` // nil: success
	Again   string             `json:"again,omitempty"`   // why the step was not done and has to be asked for again
}

// Output is a piece of what the scripts of a step print.
type Output struct {
	Offset int64 // of its first byte, in all that the step has printed on this host
	Data   []byte
}

// Append encodes the output.
func (o Output) Append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(o.Offset)), o.Data...)
}

// ParseOutput decodes it. Data is part of p.
func ParseOutput(p []byte) (Output, error) {
	if len(p) < 8 {
		return Output{}, errors.New("a frame of output is too short")
	}
	o := Output{Offset: int64(binary.BigEndian.Uint64(p)), Data: p[8:]}
	if o.Offset < 0 {
		return Output{}, errors.New("a frame of output has a negative offset")
	}
	return o, nil
}
