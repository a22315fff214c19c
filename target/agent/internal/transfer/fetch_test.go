package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
)

// memory is a network without a machine, so that its time may be that of a bubble.
type memory chan net.Conn

func (m memory) Accept() (net.Conn, error) {
	c, ok := <-m
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (m memory) Close() error   { close(m); return nil }
func (m memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (m memory) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	m <- theirs
	return ours, nil
}

// serveOn serves until end is called, and returns who may ask.
func serveOn(h http.Handler) (c *http.Client, end func()) {
	m := make(memory)
	s := &http.Server{Handler: h}
	var wait sync.WaitGroup
	wait.Go(func() { _ = s.Serve(m) })
	t := &http.Transport{DialContext: m.dial}
	return &http.Client{Transport: t}, func() { t.CloseIdleConnections(); _ = s.Close(); wait.Wait() }
}

// half sends half of what is missing and then nothing for the first few times.
func half(t *testing.T, data []byte, times int64, asked *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := 0
		if text := r.Header.Get("Range"); text != "" {
			_, err := fmt.Sscanf(text, "bytes=%d-", &from)
			assert.NoError(t, err)
			w.WriteHeader(http.StatusPartialContent)
		}
		if asked.Add(1) > times {
			_, _ = w.Write(data[from:])
			return
		}
		_, _ = w.Write(data[from : from+(len(data)-from)/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
}

func downloadOf(address string, data []byte) revision.Download {
	sum := sha256.Sum256(data)
	return revision.Download{URL: address, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

func TestF4_DownloadThatStallsIsTakenUpAgain(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	d := downloadOf("http://archives.test/?secret", data)
	for name, c := range map[string]struct{ stalls, asks int64 }{"once": {1, 2}, "always": {100, int64(usual.tries)}} {
		path := filepath.Join(t.TempDir(), "a")
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				var end func()
				x := usual
				x.client, end = serveOn(half(t, data, c.stalls, &asked))
				err := x.download(t.Context(), d, path)
				end()
				require.Equal(t, c.asks, asked.Load())
				if c.stalls == 1 {
					require.NoError(t, err)
					got, err := os.ReadFile(path)
					require.NoError(t, err)
					require.Equal(t, data, got)
					return
				}
				require.ErrorIs(t, err, ErrUnavailable)
				require.ErrorContains(t, err, "archives.test sent less than 30 KiB in 30s; look at the network")
				require.NotContains(t, err.Error(), "secret")
			})
		})
	}
}

// A host unpacks within the limits that the source has.
func TestFetchKeepsTheLimitsOfTheSource(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"appspec.yml", "a", "b"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 1, Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte("x"))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	s := httptest.NewServer(half(t, b.Bytes(), 0, &atomic.Int64{}))
	t.Cleanup(s.Close)
	d := downloadOf(s.URL, b.Bytes())
	_, done, err := Fetch(t.Context(), d, filepath.Join(t.TempDir(), "in"), "sha256:x")
	require.NoError(t, err)
	done()
	d.Limits.Members = 2
	_, _, err = Fetch(t.Context(), d, filepath.Join(t.TempDir(), "in"), "sha256:x")
	e, ok := errors.AsType[*revision.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, revision.TooLarge, e.Code)
}
