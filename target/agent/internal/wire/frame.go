package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Version is the version of the protocol. Two sides of different versions do not
// talk: each is told so.
const Version = 1

// MaxFrame bounds the payload of a frame. Longer things go in several.
const MaxFrame = 1 << 20

// Kind says what a frame is.
type Kind uint8

// The kinds of frames. Those of a request carry its id.
const (
	KindHello   Kind = 1 + iota // both: [Hello], the first frame of either side
	KindWait                    // agent: [Wait], instead of its hello for now
	KindRefuse                  // agent: [Refusal], the last frame
	KindPerform                 // controller: [Request], opens a request
	KindCancel                  // controller: nobody waits for the request any more
	KindNote                    // agent: a lifecycle.Note
	KindOutput                  // agent: [Output] in binary form
	KindWant                    // agent: [Want]
	KindData                    // controller: a piece of the stream that was wanted
	KindEnd                     // controller: the end of that stream; a text: why it broke off
	KindDone                    // agent: [Answer], closes the request
	KindTaken                   // agent: how many bytes of data frames it has taken, see [Taken]
	kinds
)

// Frame is one frame as it was read.
type Frame struct {
	Kind    Kind
	ID      uint32 // of the request
	Payload []byte // the reader's own
}

// headerSize is the length of the payload, the kind and the id.
const headerSize = 4 + 1 + 4

// Conn reads and writes frames. One goroutine may read while any number write.
type Conn struct {
	r *bufio.Reader

	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// NewConn makes a Conn of a stream.
func NewConn(r io.Reader, w io.Writer) *Conn {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 64<<10)
	}
	return &Conn{r: br, w: w}
}

// Read reads the next frame. The end of the stream between frames is io.EOF.
func (c *Conn) Read() (Frame, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	f := Frame{Kind: Kind(head[4]), ID: binary.BigEndian.Uint32(head[5:])}
	switch {
	case n > MaxFrame:
		return Frame{}, fmt.Errorf("a frame of %d bytes is longer than %d", n, MaxFrame)
	case f.Kind == 0 || f.Kind >= kinds:
		return Frame{}, fmt.Errorf("a frame of unknown kind %d", f.Kind)
	}
	f.Payload = make([]byte, n)
	if _, err := io.ReadFull(c.r, f.Payload); err != nil {
		return Frame{}, noEOF(err)
	}
	return f, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ErrTooLong says that a message does not fit into a frame. Nothing of it was written.
var ErrTooLong = errors.New("longer than a frame may be")

// Write writes one frame.
func (c *Conn) Write(k Kind, id uint32, payload []byte) error {
	if len(payload) > MaxFrame {
		return fmt.Errorf("a message of %d bytes is %w, which is %d", len(payload), ErrTooLong, MaxFrame)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf = binary.BigEndian.AppendUint32(c.buf[:0], uint32(len(payload)))
	c.buf = append(c.buf, byte(k))
	c.buf = binary.BigEndian.AppendUint32(c.buf, id)
	c.buf = append(c.buf, payload...)
	_, err := c.w.Write(c.buf)
	return err
}

// Send writes a message as JSON.
func (c *Conn) Send(k Kind, id uint32, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return c.Write(k, id, data)
}

// Decode reads the message of a frame.
func (f Frame) Decode(message any) error {
	if err := json.Unmarshal(f.Payload, message); err != nil {
		return fmt.Errorf("a frame of kind %d cannot be read: %w", f.Kind, err)
	}
	return nil
}

// Rest is what follows the frames that were read, as bytes.
func (c *Conn) Rest() io.Reader { return c.r }
