package wire

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
	"github.com/cutover-deploy/cutover/target"
)

// manifest makes n entries, the same for the same seed.
func manifest(n int) (m revision.Manifest) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		m.Entries = append(m.Entries, revision.Entry{
			Path: "dir/file-" + strconv.Itoa(100000+i), Mode: 0o644, Size: r.Int64N(1 << 40),
			Digest: strings.Repeat("0123456789abcdef", 4), ModTime: time.Unix(r.Int64N(1<<31), 5).UTC(),
		})
	}
	return m
}

func TestManifestComesBackFromItsChunks(t *testing.T) {
	m := manifest(1000)
	m.Entries = append(m.Entries,
		revision.Entry{Path: "\xff not UTF-8", Mode: fs.ModeSymlink | 0o777, Link: "../\xfe"},
		revision.Entry{Path: "folder", Mode: fs.ModeDir | 0o755})
	var back revision.Manifest
	for _, c := range Chunks(m) {
		list, err := ParseChunk(c.Data)
		require.NoError(t, err)
		back.Entries = append(back.Entries, list...)
	}
	require.Equal(t, m, back)
}

func TestChangeOfOneEntryChangesOneChunk(t *testing.T) {
	one, two := manifest(1000), manifest(1000)
	two.Entries[500].Size++
	two.Entries = append(two.Entries[:700], two.Entries[701:]...)
	known := map[ChunkID]bool{}
	for _, c := range Chunks(one) {
		known[c.ID] = true
	}
	var fresh, size int
	for _, c := range Chunks(two) {
		if !known[c.ID] {
			fresh++
			size += len(c.Data)
		}
	}
	require.LessOrEqual(t, fresh, 3)
	require.Less(t, size, 8<<10)
}

func TestLongManifestsHaveLongerChunks(t *testing.T) {
	require.Less(t, len(Chunks(manifest(100_000))), 4096)
}

func TestFrameThatIsTooLongOrUnknownIsRefused(t *testing.T) {
	c := NewConn(strings.NewReader("\xff\xff\xff\xff\x01\x00\x00\x00\x00"), io.Discard)
	_, err := c.Read()
	require.ErrorContains(t, err, "longer than")
	_, err = NewConn(strings.NewReader("\x00\x00\x00\x00\xee\x00\x00\x00\x00"), io.Discard).Read()
	require.ErrorContains(t, err, "unknown kind")
	_, err = NewConn(strings.NewReader("\x00\x00\x00\x05\x01\x00\x00\x00\x00abc"), io.Discard).Read()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Error(t, c.Write(KindData, 1, make([]byte, MaxFrame+1)))
}

// A field of a job that is lost on the way would change what a host does without
// anybody noticing. Whoever adds one has to look here.
func TestEveryFieldOfAJobTravels(t *testing.T) {
	apart := map[string]bool{"Bundle": true} // goes another way
	for i := range reflect.TypeFor[target.Job]().NumField() {
		f := reflect.TypeFor[target.Job]().Field(i)
		if apart[f.Name] {
			continue
		}
		require.NotEqual(t, "-", f.Tag.Get("json"), f.Name)
		require.NotContains(t, []reflect.Kind{reflect.Func, reflect.Interface, reflect.Chan}, f.Type.Kind(), "%s cannot be sent to a host", f.Name)
	}
}

func TestProtocolIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../PROTOCOL.md")
	require.NoError(t, err)
	for k := Kind(1); k < kinds; k++ {
		require.Contains(t, string(text), "| "+strconv.Itoa(int(k))+" ", "kind %d is missing in PROTOCOL.md", k)
	}
}

// What was read is what was written; nothing else is longer or of another kind.
func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	c := NewConn(&b, &b)
	for k := Kind(1); k < kinds; k++ {
		require.NoError(f, c.Write(k, uint32(k), []byte("payload")))
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		var again bytes.Buffer
		r, w := NewConn(bytes.NewReader(in), nil), NewConn(nothing{}, &again)
		for {
			frame, err := r.Read()
			if err != nil {
				if errors.Is(err, io.EOF) {
					require.Equal(t, len(in), again.Len())
				}
				return
			}
			require.LessOrEqual(t, len(frame.Payload), MaxFrame)
			require.NoError(t, w.Write(frame.Kind, frame.ID, frame.Payload))
			require.True(t, bytes.HasPrefix(in, again.Bytes()))
		}
	})
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }

// A chunk that can be read is the encoding of what was read.
func FuzzChunk(f *testing.F) {
	for _, c := range Chunks(manifest(20)) {
		f.Add(c.Data)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		list, err := ParseChunk(in)
		if err != nil {
			return
		}
		var out []byte
		for i := range list {
			out = appendEntry(out, &list[i])
		}
		again, err := ParseChunk(out)
		require.NoError(t, err)
		require.Equal(t, list, again)
	})
}

func FuzzOutput(f *testing.F) {
	f.Add(Output{Offset: 9, Data: []byte("text")}.Append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		if o, err := ParseOutput(in); err == nil {
			require.Equal(t, in, o.Append(nil))
		}
	})
}
