package lossy_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/lossy"
)

// viewer takes a tenth of a second for each Write, fails at the given one, and keeps the rest.
type viewer struct {
	bytes.Buffer
	n, fail int
	panics  bool
	stuck   chan struct{} // nil: it is not
}

func (v *viewer) Write(p []byte) (int, error) {
	if v.n++; v.n == v.fail && v.panics {
		panic("no luck")
	} else if v.n == v.fail {
		return 0, errors.New("broken pipe")
	}
	if v.stuck != nil {
		<-v.stuck
	}
	time.Sleep(100 * time.Millisecond)
	return v.Buffer.Write(p)
}

func TestAllOfASlowViewersOutputComesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &viewer{}
		w := lossy.New(v)
		var want strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&want, "line %d\n", i)
			fmt.Fprintf(w, "line %d\n", i)
			if i == 500 {
				time.Sleep(time.Minute)
			}
		}
		began := time.Now()
		w.Close()
		require.LessOrEqual(t, time.Since(began), lossy.Patience)
		require.Equal(t, want.String(), v.String())
		fmt.Fprint(w, "late")
		synctest.Wait()
		require.Equal(t, want.String(), v.String(), "nothing comes after the end")
	})
}

func TestNobodyWaitsForAStuckViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &viewer{stuck: make(chan struct{})}
		w := lossy.New(v)
		began := time.Now()
		piece := bytes.Repeat([]byte("x"), 1000)
		for range 10_000 {
			n, err := w.Write(piece)
			require.NoError(t, err)
			require.Equal(t, len(piece), n)
		}
		require.Zero(t, time.Since(began))
		w.Close()
		require.Equal(t, lossy.Patience, time.Since(began))
		close(v.stuck)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, v.n, "what had begun, and nothing after it")
	})
}

func TestAFailureOfTheViewerIsItsOwn(t *testing.T) {
	for _, panics := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			v := &viewer{fail: 2, panics: panics}
			w := lossy.New(v)
			for _, s := range []string{"one", "two", "three"} {
				fmt.Fprint(w, s)
				time.Sleep(time.Minute)
			}
			w.Close()
			synctest.Wait()
			require.Equal(t, "one", v.String())
			require.Equal(t, 2, v.n)
		})
	}
}

func TestCloseOfWhatWasNeverUsed(t *testing.T) { lossy.New(nil).Close() }
