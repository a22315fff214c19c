package serve

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
	"github.com/cutover-deploy/cutover/target/agent/internal/wire"
)

// script does a step as it is told.
type script func(ctx context.Context, t target.Task, from Bringer) error

func (s script) Do(ctx context.Context, t target.Task, from Bringer) error { return s(ctx, t, from) }

func server(do script) *Server {
	return &Server{Digest: "d", NewDoer: func(wire.Settings) Doer { return do }}
}

// controller connects one.
func controller(t *testing.T, s *Server) (*wire.Conn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	require.True(t, s.Enter())
	s.wait.Go(func() { s.Serve(theirs) })
	c := wire.NewConn(ours, ours)
	require.NoError(t, c.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: "d", Settings: &wire.Settings{}}))
	f, err := c.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindHello, f.Kind, string(f.Payload))
	return c, ours
}

func ask(t *testing.T, c *wire.Conn, id uint32, content bool) {
	t.Helper()
	q := wire.Request{Step: lifecycle.Step{Deployment: "d-1", Event: "Start"}, Job: &target.Job{}}
	if content {
		q.Content = &wire.Content{Digest: "x", Chunks: make([]byte, wire.ChunkIDSize)}
	}
	require.NoError(t, c.Send(wire.KindPerform, id, q))
}

// A run that waits for its revision from a controller whose connection hangs begins
// anew with the next controller that asks.
func TestC13_RevisionThatHangsIsTakenFromTheNextController(t *testing.T) {
	defer goleak.VerifyNone(t)
	begun := make(chan bool, 2)
	dir := t.TempDir()
	s := server(func(ctx context.Context, _ target.Task, from Bringer) error {
		begun <- true
		_, _, err := from.Bring(ctx, dir, func() []Retained { return nil }, false)
		return err
	})
	one, hung := controller(t, s)
	ask(t, one, 1, true)
	f, err := one.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindWant, f.Kind)
	<-begun

	two, c := controller(t, s)
	ask(t, two, 7, true)
	<-begun
	f, err = two.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindWant, f.Kind)
	f, err = one.Read()
	require.NoError(t, err)
	require.Contains(t, string(f.Payload), "gone", "the first is told to ask again")
	_ = hung.Close()
	_ = c.Close()
	<-s.Idle()
	s.Wait()
}

// hello introduces a controller of a build, and returns the answer.
func hello(t *testing.T, s *Server, digest string) (wire.Frame, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	require.True(t, s.Enter())
	s.wait.Go(func() { s.Serve(theirs) })
	c := wire.NewConn(ours, ours)
	require.NoError(t, c.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: digest, Settings: &wire.Settings{}}))
	f, err := c.Read()
	require.NoError(t, err)
	return f, ours
}

// Who makes room does not take in controllers of its own build either: these would ask
// for new steps again and again, and be refused each time.
func TestServerThatMakesRoomTakesNobodyIn(t *testing.T) {
	defer goleak.VerifyNone(t)
	release := make(chan bool)
	s := server(func(context.Context, target.Task, Bringer) error { <-release; return nil })
	c, conn := controller(t, s)
	ask(t, c, 1, false)
	require.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.runs) == 1 }, 10*time.Second, time.Millisecond)
	for _, digest := range []string{"another", "d"} {
		f, other := hello(t, s, digest)
		require.Equal(t, wire.KindRefuse, f.Kind)
		require.Contains(t, string(f.Payload), Retiring)
		_ = other.Close()
	}
	close(release)
	f, err := c.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindDone, f.Kind, "what it does it ends")
	_ = conn.Close()
	<-s.Idle()
	s.Wait()
}

// A controller that stands still, and takes nothing of what a script prints, does not
// hold up another build. One that goes on is waited for.
func TestControllerThatTakesNothingDoesNotHoldUpAnotherBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		s := server(func(_ context.Context, task target.Task, _ Bringer) error {
			_, err := io.WriteString(task.Output, "much")
			<-release
			return err
		})
		still, _ := controller(t, s)
		ask(t, still, 1, false)
		synctest.Wait() // the output is on its way, and a pipe holds nothing
		goes, conn := controller(t, s)
		ask(t, goes, 1, false)
		time.Sleep(time.Hour) // nobody waits for its place, so there is no hurry
		f, err := goes.Read()
		require.NoError(t, err)
		require.Equal(t, wire.KindOutput, f.Kind)
		for range 6 { // who is refused asks again and again
			f, other := hello(t, s, "another")
			require.Contains(t, string(f.Payload), Retiring)
			_ = other.Close()
			time.Sleep(10 * time.Second)
		}
		s.mu.Lock()
		require.Equal(t, 1, s.sessions, "the one that stands still is let go of")
		s.mu.Unlock()
		close(release)
		f, err = goes.Read()
		require.NoError(t, err)
		require.Equal(t, wire.KindDone, f.Kind)
		<-s.Idle()
		_ = conn.Close()
		s.Wait()
	})
}

// A run that waits for a controller does not hold up another build: that controller may
// be gone without anybody having noticed.
func TestC13_RevisionThatHangsDoesNotHoldUpAnotherBuild(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	s := server(func(ctx context.Context, _ target.Task, from Bringer) error {
		_, _, err := from.Bring(ctx, dir, func() []Retained { return nil }, false)
		return err
	})
	c, conn := controller(t, s)
	ask(t, c, 1, true)
	f, err := c.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindWant, f.Kind)
	f, other := hello(t, s, "another")
	require.Equal(t, wire.KindRefuse, f.Kind)
	f, err = c.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindDone, f.Kind)
	var a wire.Answer
	require.NoError(t, f.Decode(&a))
	require.Contains(t, a.Again, Retiring)
	_, _ = conn.Close(), other.Close()
	<-s.Idle()
	s.Wait()
}

// All that a controller may send ahead has room while nobody takes it, so that the next
// frames are read: one says that nobody waits any more.
func TestCancelIsReadWhileDataIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(func(ctx context.Context, _ target.Task, from Bringer) error {
			b := from.(*bringer)
			b.r.supplier.Store(b.q)
			_, err := b.q.Ask(ctx, wire.Want{List: true})
			assert.NoError(t, err)
			<-ctx.Done()
			return context.Cause(ctx)
		})
		c, conn := controller(t, s)
		ask(t, c, 1, true)
		_, err := c.Read()
		require.NoError(t, err)
		for range wire.MaxAhead / wire.MaxPiece {
			require.NoError(t, c.Write(wire.KindData, 1, make([]byte, wire.MaxPiece)))
		}
		require.NoError(t, c.Write(wire.KindEnd, 1, nil))
		require.NoError(t, c.Write(wire.KindCancel, 1, nil))
		_ = conn.Close()
		<-s.Idle()
		s.Wait()
	})
}

// A run that comes to need its controller when another build waits already does not wait
// for it either.
func TestC13_RevisionThatIsNeededLateDoesNotHoldUpAnotherBuild(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	begun, bring := make(chan bool), make(chan bool)
	s := server(func(ctx context.Context, _ target.Task, from Bringer) error {
		begun <- true
		<-bring
		_, _, err := from.Bring(ctx, dir, func() []Retained { return nil }, false)
		return err
	})
	c, conn := controller(t, s)
	ask(t, c, 1, true)
	<-begun
	f, other := hello(t, s, "another")
	require.Equal(t, wire.KindRefuse, f.Kind)
	close(bring)
	f, err := c.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindDone, f.Kind)
	var a wire.Answer
	require.NoError(t, f.Decode(&a))
	require.Contains(t, a.Again, Retiring)
	_, _ = conn.Close(), other.Close()
	<-s.Idle()
	s.Wait()
}

func TestAnswerThatIsTooLongIsShortened(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := server(func(context.Context, target.Task, Bringer) error {
		return &lifecycle.Error{Failure: lifecycle.Failure{Code: lifecycle.TargetFailed, Message: "begin " + strings.Repeat("\x01", wire.MaxFrame) + " end"}}
	})
	c, conn := controller(t, s)
	ask(t, c, 1, false)
	f, err := c.Read()
	require.NoError(t, err)
	require.Equal(t, wire.KindDone, f.Kind)
	var a wire.Answer
	require.NoError(t, f.Decode(&a))
	require.Equal(t, lifecycle.TargetFailed, a.Failure.Code)
	require.True(t, strings.HasPrefix(a.Failure.Message, "begin ") && strings.HasSuffix(a.Failure.Message, " end"))
	_ = conn.Close()
	<-s.Idle()
	s.Wait()
}

func TestServerIsIdleWhenAllIsDone(t *testing.T) {
	defer goleak.VerifyNone(t)
	release := make(chan bool)
	s := server(func(context.Context, target.Task, Bringer) error { <-release; return nil })
	c, conn := controller(t, s)
	ask(t, c, 1, false)
	_ = conn.Close()
	select {
	case <-s.Idle():
		t.Fatal("a step is being done")
	case <-time.After(20 * time.Millisecond): // nothing happens, which cannot be seen sooner
	}
	close(release)
	<-s.Idle()
	s.Wait()
	require.False(t, s.Enter(), "what has ended takes nobody in")
}

// Each gets the output from where they are, and none if they want none.
func TestOutputFromWhereTheControllerIs(t *testing.T) {
	defer goleak.VerifyNone(t)
	release := make(chan bool)
	s := server(func(_ context.Context, task target.Task, _ Bringer) error {
		_, err := io.WriteString(task.Output, "abcdef")
		<-release
		return err
	})
	_, held := controller(t, s) // the server ends when nobody is connected
	for name, c := range map[string]struct {
		wire.Request
		want string
	}{
		"all":     {wire.Request{}, "abcdef"},
		"rest":    {wire.Request{Output: 4}, "ef"},
		"nothing": {wire.Request{Output: 6}, ""},
		"beyond":  {wire.Request{Output: 60}, ""},
		"quiet":   {wire.Request{Quiet: true}, ""},
	} {
		conn, raw := controller(t, s)
		c.Step, c.Job = lifecycle.Step{Deployment: "d-1", Event: "AfterInstall", Unit: name}, &target.Job{}
		require.NoError(t, conn.Send(wire.KindPerform, 1, c.Request))
		release <- true
		got := ""
		for {
			f, err := conn.Read()
			require.NoError(t, err, name)
			if f.Kind == wire.KindDone {
				break
			}
			require.Equal(t, wire.KindOutput, f.Kind, name)
			o, err := wire.ParseOutput(f.Payload)
			require.NoError(t, err, name)
			require.EqualValues(t, 6-len(o.Data), o.Offset, name)
			got += string(o.Data)
		}
		require.Equal(t, c.want, got, name)
		_ = raw.Close()
	}
	_ = held.Close()
	<-s.Idle()
	s.Wait()
}

func TestOutputThatNobodyTakesIsDroppedFromTheFront(t *testing.T) {
	r := newRun(nil)
	line := bytes.Repeat([]byte("x"), 1000)
	for range 10_000 {
		_, err := r.Write(line)
		require.NoError(t, err)
	}
	at := &seen{}
	_, out, _, _ := r.look(at)
	require.Equal(t, r.start, out.Offset)
	require.LessOrEqual(t, len(r.output), 2*keepOutput+len(line))
	require.EqualValues(t, 10_000_000, r.start+int64(len(r.output)))
}

// Whatever a controller says, the server comes to its end without a panic.
func FuzzServer(f *testing.F) {
	var b bytes.Buffer
	c := wire.NewConn(&b, &b)
	_ = c.Send(wire.KindHello, 0, wire.Hello{Version: wire.Version, Digest: "d", Settings: &wire.Settings{}})
	_ = c.Send(wire.KindPerform, 1, wire.Request{Job: &target.Job{}, Content: &wire.Content{Digest: "x"}})
	_ = c.Write(wire.KindData, 1, []byte("data"))
	_ = c.Write(wire.KindEnd, 1, nil)
	_ = c.Write(wire.KindCancel, 1, nil)
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		dir := t.TempDir()
		s := server(func(ctx context.Context, _ target.Task, from Bringer) error {
			_, done, err := from.Bring(ctx, dir, func() []Retained { return nil }, false)
			if err == nil {
				done()
			}
			return err
		})
		require.True(t, s.Enter())
		s.Serve(struct {
			io.Reader
			io.Writer
			io.Closer
		}{bytes.NewReader(in), io.Discard, io.NopCloser(nil)})
		<-s.Idle()
		s.Wait()
	})
}
