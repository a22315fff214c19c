package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
)

// Bounds of what is kept to be sent to many hosts. What a revision has beyond them is
// compressed for each host anew.
const (
	maxShared = 64 << 20 // bytes of content, before they are compressed
	maxShares = 2        // different parts of a revision that hosts lack
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

	users  int // under shares.mu
	cancel context.CancelFunc
}

// join returns the stream of what was asked for, which begin makes if nobody has, and
// what to call when it is not read any more. Nil: there is no room for another one.
func (s *shares) join(want [][2]int, begin func(context.Context, *share)) (*share, func()) {
	var key []byte
	for _, r := range want {
		key = binary.AppendVarint(binary.AppendVarint(key, int64(r[0])), int64(r[1]))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.all[string(key)]
	if sh == nil {
		if !s.makeRoom() {
			return nil, func() {}
		}
		var ctx context.Context
		sh = &share{grown: make(chan struct{})}
		ctx, sh.cancel = context.WithCancel(context.Background())
		s.all[string(key)] = sh
		go begin(ctx, sh)
	}
	sh.users++
	return sh, func() { s.leave(string(key), sh) }
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

// leave gives a share up: one that nobody reads any more is not made to its end, and
// one that failed is made again for the next who asks.
func (s *shares) leave(key string, sh *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh.users--
	whole, err := sh.state()
	if err == nil && (whole || sh.users > 0) {
		return
	}
	if s.all[key] == sh {
		delete(s.all, key)
	}
	if sh.users == 0 {
		sh.cancel()
	}
}

func (sh *share) state() (over bool, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.over, sh.err
}

// Write adds to what is sent.
func (sh *share) Write(p []byte) (int, error) {
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
