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
	"time"

	"github.com/cutover-deploy/cutover/revision"
)

// Fetch gets the archive of a revision from its address, compares it with its
// digest, and opens it. Dir is where the archive is kept meanwhile; close removes
// what was unpacked.
func Fetch(ctx context.Context, d revision.Download, dir, digest string) (b *revision.Bundle, close func(), err error) {
	if err := makeDir(dir); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, Name(digest)+".archive")
	if err := download(ctx, d, path); err != nil {
		return nil, nil, WithSpace(err, dir, d.Size)
	}
	work, err := os.MkdirTemp(dir, Name(digest)+".open-")
	if err != nil {
		return nil, nil, err
	}
	close = func() { _ = os.RemoveAll(work) }
	if b, err = revision.Archive(path).Open(ctx, work); err != nil {
		close()
		return nil, nil, err
	}
	return b, close, nil
}

// tries is how often a download is taken up again where it broke off.
const tries = 5

// download leaves the archive at path, or an error. What an earlier call has
// fetched is not fetched again.
func download(ctx context.Context, d revision.Download, path string) error {
	if d.SHA256 == "" || d.Size <= 0 {
		return errors.New("the address of the revision comes without the archive's digest or size, so what is behind it cannot be checked")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for n := 0; ; n++ {
		if err = resume(ctx, d, f); err == nil {
			break
		}
		var final *finalError
		if ctx.Err() != nil {
			return err
		}
		if n == tries-1 || errors.As(err, &final) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if !sleep(ctx, time.Second<<n) {
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
func resume(ctx context.Context, d revision.Download, f *os.File) error {
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
	resp, err := get(ctx, d.URL, have)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK && have > 0 { // the server does not know ranges
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		have = 0
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, d.Size-have+1))
	switch {
	case err != nil:
		return hideURL(err)
	case have+n > d.Size:
		return &finalError{fmt.Errorf("the archive is longer than the announced %d bytes", d.Size)}
	case have+n < d.Size:
		return fmt.Errorf("the archive ended after %d of %d bytes", have+n, d.Size)
	}
	return nil
}

func get(ctx context.Context, address string, from int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &finalError{hideURL(err)}
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := http.DefaultClient.Do(req)
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
		host := "the address"
		if u, perr := url.Parse(e.URL); perr == nil {
			host = u.Host
		}
		return fmt.Errorf("%s: %w", host, e.Err)
	}
	return err
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
