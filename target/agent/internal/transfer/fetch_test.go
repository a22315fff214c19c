package transfer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/revision"
)

// hanging sends half of the data and then nothing for the first few times.
func hanging(t *testing.T, data []byte, times int64) (revision.Download, *atomic.Int64) {
	t.Helper()
	asked := &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := 0
		if text := r.Header.Get("Range"); text != "" {
			_, err := fmt.Sscanf(text, "bytes=%d-", &from)
			if err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusPartialContent)
		}
		if asked.Add(1) > times {
			_, _ = w.Write(data[from:])
			return
		}
		_, _ = w.Write(data[from : from+(len(data)-from)/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	sum := sha256.Sum256(data)
	return revision.Download{URL: s.URL + "/?secret", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}, asked
}

func TestF4_DownloadThatStallsIsTakenUpAgain(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 1000)
	quick := fetcher{tries: 3, pause: time.Millisecond, window: 50 * time.Millisecond, least: 1}
	d, asked := hanging(t, data, 1)
	path := filepath.Join(t.TempDir(), "a")
	require.NoError(t, quick.download(t.Context(), d, path))
	require.EqualValues(t, 2, asked.Load())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, data, got)

	d, asked = hanging(t, data, 100)
	err = quick.download(t.Context(), d, filepath.Join(t.TempDir(), "a"))
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "slower than is allowed")
	require.NotContains(t, err.Error(), "secret")
	require.EqualValues(t, 3, asked.Load())
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
	d, _ := hanging(t, b.Bytes(), 0)
	_, done, err := Fetch(t.Context(), d, filepath.Join(t.TempDir(), "in"), "sha256:x")
	require.NoError(t, err)
	done()
	d.Limits.Members = 2
	_, _, err = Fetch(t.Context(), d, filepath.Join(t.TempDir(), "in"), "sha256:x")
	e, ok := errors.AsType[*revision.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, revision.TooLarge, e.Code)
}
