package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBatch bounds a batch that comes from an address.
const maxBatch = 64 << 20

func isAddress(place string) bool {
	return strings.HasPrefix(place, "https://") || strings.HasPrefix(place, "http://")
}

func httpGet(ctx context.Context, address string) (data []byte, err error) {
	err = retried(ctx, func() error {
		data, err = exchange(ctx, http.MethodGet, address, nil)
		return err
	})
	return data, err
}

func httpPut(ctx context.Context, address string, data []byte) error {
	return retried(ctx, func() error {
		_, err := exchange(ctx, http.MethodPut, address, data)
		return err
	})
}

// retried tries some times, for about half a minute.
func retried(ctx context.Context, do func() error) error {
	for pause := time.Second; ; pause *= 2 {
		err := do()
		if err == nil || pause > 16*time.Second {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// exchange asks once. The address may be as good as a password, so no error has it.
func exchange(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address is none")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBatch))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answers %s", req.URL.Host, resp.Status)
	}
	return data, err
}
