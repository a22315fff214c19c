package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cutover-deploy/cutover/revision"
)

// Fetch gets the archive of a revision, or what [Pack] made of one, from its address,
// compares it with its digest, and opens it. Dir is where it is kept meanwhile; close
// removes what was unpacked.
func Fetch(ctx context.Context, d revision.Download, dir, digest string) (b *revision.Bundle, close func(), err error) {
	if err := makeDir(dir); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, Name(digest)+".archive")
	if err := usual.download(ctx, d, path); err != nil {
		return nil, nil, roomMade(err, dir, path, d.Size)
	}
	work, err := os.MkdirTemp(dir, Name(digest)+".open-")
	if err != nil {
		return nil, nil, roomMade(err, dir, path, d.Size)
	}
	b, done, err := openFetched(ctx, path, work, d.Limits)
	close = func() { done(); _ = os.RemoveAll(work) }
	if err != nil {
		close()
		return nil, nil, roomMade(err, dir, path, d.Size)
	}
	return b, close, nil
}

func openFetched(ctx context.Context, path, work string, l revision.Limits) (b *revision.Bundle, done func(), err error) {
	done = func() {}
	f, err := os.Open(path)
	if err != nil {
		return nil, done, err
	}
	defer f.Close()
	if isPacked(f) {
		return unpack(ctx, f, filepath.Join(work, "spool"))
	}
	b, err = revision.ArchiveFile{Path: path, Limits: l}.Open(ctx, work)
	return b, done, err
}

// roomMade removes the archive if an error is about a full disk. The room is needed, if
// only to write down that there is none.
func roomMade(err error, dir, path string, size int64) error {
	full := WithSpace(err, dir, size)
	if full != err {
		_ = os.Remove(path)
	}
	return full
}

// fetcher says how long a download is tried.
type fetcher struct {
	tries  int           // in which it is taken up again where it broke off
	pause  time.Duration // before the second; doubles with each
	window time.Duration // in which at least least bytes have to come
	least  int64
	client *http.Client
}

// usual has the limits of package revision for what the controller fetches.
var usual = fetcher{tries: 5, pause: time.Second, window: 30 * time.Second, least: 30 << 10, client: http.DefaultClient}

// download leaves the archive at path, or an error. What an earlier call has
// fetched is not fetched again.
func (x fetcher) download(ctx context.Context, d revision.Download, path string) error {
	if d.SHA256 == "" || d.Size <= 0 {
		return errors.New("the address of the revision comes without the archive's digest or size, so what is behind it cannot be checked")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for n := 0; ; n++ {
		if err = x.resume(ctx, d, f); err == nil {
			break
		}
		var final *finalError
		if ctx.Err() != nil {
			return err
		}
		if n == x.tries-1 || errors.As(err, &final) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if !sleep(ctx, x.pause<<n) {
			return context.Cause(ctx)
		}
	}
	if err := verify(f, d.SHA256); err != nil {
		_ = f.Truncate(0) // all of it is in doubt
		return err
	}
	return nil
}

// finalError is one that another try does not mend.
type finalError struct{ error }

// resume fetches what is missing at the end of f.
func (x fetcher) resume(ctx context.Context, d revision.Download, f *os.File) error {
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > d.Size {
		if have, err = f.Seek(0, io.SeekStart); err == nil {
			err = f.Truncate(0)
		}
	}
	if err != nil || have == d.Size {
		return err
	}
	s := x.watch(ctx)
	defer s.end()
	resp, err := x.get(s.ctx, d.URL, have)
	if err != nil {
		return x.why(s, d.URL, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK && have > 0 { // the server does not know ranges
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		have = 0
	}
	n, err := io.Copy(f, io.LimitReader(io.TeeReader(resp.Body, s), d.Size-have+1))
	switch {
	case err != nil:
		return x.why(s, d.URL, hideURL(err))
	case have+n > d.Size:
		return &finalError{fmt.Errorf("the archive is longer than the announced %d bytes", d.Size)}
	case have+n < d.Size:
		return fmt.Errorf("the archive ended after %d of %d bytes", have+n, d.Size)
	}
	return nil
}

// stall ends a transfer that brings too little, the time until the answer begins
// included.
type stall struct {
	ctx  context.Context
	came atomic.Int64 // since the last look
	end  func()
}

var errStalled = errors.New("it came slower than is allowed")

func (x fetcher) watch(ctx context.Context) *stall {
	s := &stall{}
	ctx, cancel := context.WithCancelCause(ctx)
	tick := time.NewTicker(x.window)
	var over sync.WaitGroup
	over.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if s.came.Swap(0) < x.least {
					cancel(errStalled)
				}
			}
		}
	})
	s.ctx, s.end = ctx, func() { cancel(nil); tick.Stop(); over.Wait() }
	return s
}

func (s *stall) Write(p []byte) (int, error) {
	s.came.Add(int64(len(p)))
	return len(p), nil
}

// why is the reason behind an error.
func (x fetcher) why(s *stall, address string, err error) error {
	if errors.Is(context.Cause(s.ctx), errStalled) {
		return fmt.Errorf("%s sent less than %d KiB in %s; look at the network between this host and it, and deploy again", hostOf(address), x.least>>10, x.window)
	}
	return err
}

func (x fetcher) get(ctx context.Context, address string, from int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &finalError{hideURL(err)}
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := x.client.Do(req)
	if err != nil {
		return nil, hideURL(err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent && from > 0 {
		return resp, nil
	}
	_ = resp.Body.Close()
	err = fmt.Errorf("%s answers %s", req.URL.Host, resp.Status)
	if resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
		err = &finalError{fmt.Errorf("%w; the address may have expired", err)}
	}
	return nil, err
}

// hideURL keeps an address out of messages: whoever has it can fetch the archive.
func hideURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", hostOf(e.URL), e.Err)
	}
	return err
}

// hostOf is the part of an address that may be shown.
func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return "the address"
}

func verify(f *os.File, want string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if have := hex.EncodeToString(h.Sum(nil)); have != want {
		return fmt.Errorf("%w: the archive has SHA-256 %s, pinned was %s", ErrDigest, have, want)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
