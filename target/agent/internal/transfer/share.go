package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"
)

// Bounds of what is kept to be sent to many hosts. What a revision has beyond them is
// compressed for each host anew.
const (
	maxShared = 64 << 20    // bytes of content, before they are compressed
	maxShares = 2           // different parts of a revision that hosts lack
	shareIdle = time.Minute // for which a whole one stays that nobody reads
)

// shares are what the hosts of a fleet, which mostly lack the same files, have in
// common: the begin of the stream, compressed once.
type shares struct {
	mu  sync.Mutex
	all map[string]*share // by what was asked for
}

// share is the begin of one stream while it is made. It ends where a file ends.
type share struct {
	mu    sync.Mutex
	data  []byte        // only grows
	grown chan struct{} // closed, and replaced, when there is more
	over  bool
	err   error
	rest  [][2]int // what is not in it

	ctx    context.Context // ends when nobody reads it any more, or it is whole
	cancel context.CancelFunc
	done   chan struct{} // closed when nobody makes it any more

	users int         // under shares.mu
	idle  *time.Timer // runs while it has no users; under shares.mu
}

// join returns the stream of what was asked for, which begin makes if nobody has, and
// what to call when it is not read any more. Nil: there is no room for another one.
func (s *shares) join(want [][2]int, begin func(*share)) (*share, func()) {
	var b []byte
	for _, r := range want {
		b = binary.AppendVarint(binary.AppendVarint(b, int64(r[0])), int64(r[1]))
	}
	key := string(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.all[key]
	if sh == nil {
		if !s.makeRoom() {
			return nil, func() {}
		}
		sh = newShare()
		s.all[key] = sh
		go func() { defer close(sh.done); begin(sh) }()
	}
	if sh.idle != nil {
		sh.idle.Stop()
	}
	sh.users++
	return sh, func() {
		if s.leave(key, sh) { // what it is made of may be removed now
			<-sh.done
		}
	}
}

func newShare() *share {
	sh := &share{grown: make(chan struct{}), done: make(chan struct{})}
	sh.ctx, sh.cancel = context.WithCancel(context.Background())
	return sh
}

// makeRoom drops what nobody reads, if there are too many.
func (s *shares) makeRoom() bool {
	if s.all == nil {
		s.all = map[string]*share{}
	}
	for key, sh := range s.all {
		if len(s.all) >= maxShares && sh.users == 0 {
			delete(s.all, key)
		}
	}
	return len(s.all) < maxShares
}

// leave gives a share up, and reports whether nobody reads it any more. Such a one is not
// made to its end; if it is whole, it stays for a while. One that failed is made again for
// the next who asks.
func (s *shares) leave(key string, sh *share) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh.users--
	last = sh.users == 0
	whole, err := sh.state()
	switch {
	case err == nil && !last:
	case err == nil && whole:
		sh.idle = time.AfterFunc(shareIdle, func() { s.drop(key, sh) })
	case s.all[key] == sh:
		delete(s.all, key)
	}
	if last {
		sh.cancel()
	}
	return last
}

// drop forgets a share that nobody has used for a while.
func (s *shares) drop(key string, sh *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.users == 0 && s.all[key] == sh {
		delete(s.all, key)
	}
}

func (sh *share) state() (over bool, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.over, sh.err
}

// Write adds to what is sent.
func (sh *share) Write(p []byte) (int, error) {
	if err := sh.ctx.Err(); err != nil {
		return 0, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.data = append(sh.data, p...)
	sh.tell()
	return len(p), nil
}

// end says that there is no more of it.
func (sh *share) end(rest [][2]int, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.over, sh.rest, sh.err = true, rest, err
	sh.data = bytes.Clone(sh.data) // it may stay for long: without room to grow
	sh.tell()
	sh.cancel()
}

func (sh *share) tell() {
	close(sh.grown)
	sh.grown = make(chan struct{})
}

// copyTo writes all of it to out, as it comes, and returns what is to be sent besides.
func (sh *share) copyTo(ctx context.Context, out io.Writer) (rest [][2]int, err error) {
	for n := 0; ; {
		sh.mu.Lock()
		data, over, grown := sh.data[n:], sh.over, sh.grown
		rest, err = sh.rest, sh.err
		sh.mu.Unlock()
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if len(data) > 0 {
			if _, err := out.Write(data); err != nil {
				return nil, err
			}
			n += len(data)
			continue
		}
		if over {
			return rest, err
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
