//go:build linux

package haproxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target"
)

// role tells a test binary what else it is to be.
const role = "CUTOVER_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "web":
		serve(os.Getenv("ADDR"), os.Getenv("VERSION"))
	case "probe":
		probe(os.Getenv("ADDR"))
	case "load":
		send(os.Getenv("ADDR"))
	default:
		os.Exit(m.Run())
	}
}

// serve answers with the version, a little late, as applications do.
func serve(addr, version string) {
	var n int
	var mu sync.Mutex
	http.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		late := time.Duration(n%10) * 10 * time.Millisecond
		mu.Unlock()
		select { // the time that an answer takes
		case <-time.After(late):
		case <-r.Context().Done():
		}
		fmt.Fprint(w, version)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(addr, nil))
	os.Exit(1)
}

// probe waits until somebody answers.
func probe(addr string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if resp, err := http.Get("http://" + addr + "/"); err == nil {
			body, _ := io.ReadAll(resp.Body)
			fmt.Printf("serves %s\n", body)
			if string(body) == "broken" {
				os.Exit(1)
			}
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	os.Exit(1)
}

// report is what load sees.
type report struct {
	Requests int
	Versions map[string]int
	Failures []string // the first few
}

// send sends requests from sixteen workers, half of them on connections of their own,
// until standard input ends.
func send(addr string) {
	r := report{Versions: map[string]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 16 {
		c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				version, err := get(c, "http://"+addr+"/")
				mu.Lock()
				r.Requests++
				if err == nil {
					r.Versions[version]++
				} else if len(r.Failures) < 20 {
					r.Failures = append(r.Failures, err.Error())
				}
				mu.Unlock()
			}
		})
	}
	io.Copy(io.Discard, os.Stdin)
	close(stop)
	wg.Wait()
	json.NewEncoder(os.Stdout).Encode(r)
}

func get(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.100s", resp.Status, body)
	}
	return string(body), err
}

const spec = `version: 0.0
os: linux
files:
  - source: version
    destination: /srv/web
hooks:
  ApplicationStop:
    - location: stop.sh
      timeout: 30
  ApplicationStart:
    - location: start.sh
      timeout: 30
  ValidateService:
    - location: validate.sh
      timeout: 30
`

// site writes a revision of the web server, which is this very program.
func site(t *testing.T, version string) string {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"appspec.yml": spec,
		"version":     version,
		"start.sh": "#!/bin/sh\nexport " + role + "=web ADDR=$(cat \"$CUTOVER_ROOT/addr\") VERSION=$(cat \"$CUTOVER_ROOT/srv/web/version\")\n" +
			exe + " >\"$CUTOVER_ROOT/log\" 2>&1 </dev/null &\necho $! > \"$CUTOVER_ROOT/pid\"\n",
		"stop.sh":     "#!/bin/sh\npid=$(cat \"$CUTOVER_ROOT/pid\")\nkill -KILL $pid\nwhile kill -0 $pid 2>/dev/null && ! grep -q '^State:.Z' /proc/$pid/status; do sleep 0.05; done\n",
		"validate.sh": "#!/bin/sh\nexport " + role + "=probe ADDR=$(cat \"$CUTOVER_ROOT/addr\")\nexec " + exe + "\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	return dir
}

// stopWeb ends what the hooks of a host have started.
func stopWeb(t *testing.T, root string) {
	text, err := os.ReadFile(filepath.Join(root, "pid"))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
}

// idle is a host on which everything succeeds at once.
type idle string

func (h idle) Unit() lifecycle.Unit { return lifecycle.Unit{ID: string(h)} }

func (h idle) Perform(ctx context.Context, _ target.Task) error { return context.Cause(ctx) }
