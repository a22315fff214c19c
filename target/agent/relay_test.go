package agent

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// told returns what a controller was told to wait for.
func told(t *testing.T, out *bytes.Buffer) (all []string) {
	t.Helper()
	c := wire.NewConn(out, io.Discard)
	for {
		f, err := c.Read()
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		require.Equal(t, wire.KindWait, f.Kind)
		var w wire.Wait
		require.NoError(t, f.Decode(&w))
		all = append(all, w.For)
	}
}

// A process that was stopped is connected to, and does not answer. The controller is told
// so meanwhile.
func TestRelayOfAProcessThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wakes := time.Now().Add(time.Hour)
		s := daemons("", "", "")
		s.dial = func() (net.Conn, error) {
			ours, theirs := net.Pipe()
			awake := !time.Now().Before(wakes)
			go func() {
				c := wire.NewConn(theirs, theirs)
				if f, err := c.Read(); err == nil && awake {
					_ = c.Write(f.Kind, 0, []byte("answer"))
					time.Sleep(time.Minute) // a step that prints nothing for a while
					_ = c.Write(wire.KindDone, 1, nil)
				}
				_, _ = io.Copy(io.Discard, theirs) // until it is left
				_ = theirs.Close()
			}()
			return ours, nil
		}
		var out bytes.Buffer
		from := wire.NewConn(&out, &out)
		p, f, err := s.reach(wire.Frame{Kind: wire.KindHello}, from)
		require.NoError(t, err)
		require.Equal(t, "answer", string(f.Payload))
		f, err = p.conn.Read()
		require.NoError(t, err, "only the answer to the hello has a limit")
		require.Equal(t, wire.KindDone, f.Kind)
		require.NoError(t, p.Close())
		all := told(t, &out)
		require.Greater(t, len(all), 100)
		require.Contains(t, all[0], "does not answer")

		wakes = time.Now().Add(1000 * time.Hour)
		began := time.Now()
		_, _, err = s.reach(wire.Frame{Kind: wire.KindHello}, from)
		require.ErrorContains(t, err, "does not answer; look for its process on the host")
		require.InDelta(t, reachWait, time.Since(began), float64(time.Minute))
	})
}

// The same with the system's sockets, which connect before anybody accepts.
func TestRelayOfASocketThatNobodyServes(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	defer l.Close()
	s := daemons("", "", "")
	s.dial = func() (net.Conn, error) { return net.Dial("unix", l.Addr().String()) }
	s.answer, s.wait = 10*time.Millisecond, 50*time.Millisecond
	var out bytes.Buffer
	_, _, err = s.reach(wire.Frame{Kind: wire.KindHello}, wire.NewConn(&out, &out))
	require.ErrorContains(t, err, "does not answer")
	require.NotEmpty(t, told(t, &out))
}
