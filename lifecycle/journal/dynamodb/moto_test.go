//go:build unix

package dynamodb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/internal/moto"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
	"github.com/cutover-deploy/cutover/lifecycle/journal/dynamodb"
	"github.com/cutover-deploy/cutover/lifecycle/journal/journaltest"
)

// Variables that make this program a controller in a process of its own.
const (
	urlVar = "CUTOVER_TEST_DYNAMODB"
	ttlVar = "CUTOVER_TEST_TTL"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(urlVar); url != "" {
		ttl, _ := time.ParseDuration(os.Getenv(ttlVar))
		write(overWire(url, ttl))
		return
	}
	os.Exit(m.Run())
}

// write is a controller that appends records as fast as it can, says the number of
// each, and at the end why it stopped.
func write(j *dynamodb.Journal) {
	l, err := j.Open(context.Background(), "web")
	for seq := int64(1); err == nil; seq++ {
		if err = l.Append(context.Background(), record("d-1", seq)); err == nil {
			fmt.Println(seq)
		}
	}
	fmt.Println("lost:", errors.Is(err, journal.ErrLost), err)
}

func overWire(url string, ttl time.Duration) *dynamodb.Journal {
	server := &moto.Server{URL: url}
	return &dynamodb.Journal{Client: sdk.NewFromConfig(server.Config()), Table: "deployments", TTL: ttl}
}

// emulator starts an emulator with a table.
func emulator(t *testing.T) (*moto.Server, *sdk.Client) {
	t.Helper()
	server := moto.Start(t)
	c := sdk.NewFromConfig(server.Config())
	require.NoError(t, dynamodb.CreateTable(t.Context(), c, "deployments"))
	return server, c
}

// dump is all that is in the table, but for what renewals change.
func dump(t *testing.T, c *sdk.Client) (all []string) {
	t.Helper()
	pages := sdk.NewScanPaginator(c, &sdk.ScanInput{TableName: aws.String("deployments"), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, it := range out.Items {
			var line strings.Builder
			for _, name := range slices.Sorted(maps.Keys(it)) {
				if name != "beat" {
					fmt.Fprintf(&line, "%s=%q ", name, str(it[name]))
				}
			}
			all = append(all, line.String())
		}
	}
	slices.Sort(all)
	return all
}

func TestWireConformance(t *testing.T) {
	server, _ := emulator(t)
	n := 0
	journaltest.Run(t, func(t *testing.T) *journaltest.Harness {
		n++
		table := fmt.Sprintf("journal-%d", n)
		c := sdk.NewFromConfig(server.Config())
		require.NoError(t, dynamodb.CreateTable(t.Context(), c, table))
		require.NoError(t, dynamodb.CreateTable(t.Context(), c, table), "it may be there")
		j := func() *dynamodb.Journal {
			return &dynamodb.Journal{Client: c, Table: table, TTL: 6 * time.Second, Renew: time.Second}
		}
		return &journaltest.Harness{Journal: j(), Reopen: func() (journal.Journal, error) { return j(), nil }}
	})
}

func TestWireLargeAppends(t *testing.T) {
	server, _ := emulator(t)
	j := overWire(server.URL, time.Minute)
	l := open(t, j)
	for i, n := range []int{100, 900_000, 5_000_000, 100} {
		require.NoError(t, l.Append(t.Context(), big("d-1", int64(i+1), n)))
	}
	require.NoError(t, l.Close())
	for from := int64(1); from <= 4; from++ {
		require.Len(t, seqs(t, j.Reader("web"), "d-1", from), int(5-from))
	}
}

func TestWireB1_ManyRaceForOneGroup(t *testing.T) {
	server, _ := emulator(t)
	for round := range 2 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []journal.Log
		var refused int
		for i := range 64 {
			wg.Go(func() {
				j := overWire(server.URL, 10*time.Second)
				j.Renew = time.Second
				j.Name = fmt.Sprintf("c-%d", i)
				l, err := j.Open(t.Context(), fmt.Sprintf("group-%d", round))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, l)
				} else if errors.Is(err, journal.ErrLocked) {
					refused++
				} else {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Len(t, won, 1)
		require.Equal(t, 63, refused)
		require.NoError(t, won[0].Append(t.Context(), record("d-1", 1)))
		require.NoError(t, won[0].Close())
	}
}

// A14: a real process is stopped in the middle of writing. Another one takes over, and
// when the first is woken it writes nothing more: in one case because its own clock
// says so, in the other because the table refuses it, although it believes in a lease
// of an hour.
func TestWireA14_StoppedProcessWritesNothing(t *testing.T) {
	for name, believes := range map[string]time.Duration{"it knows by its clock": 3 * time.Second, "the table refuses": time.Hour} {
		t.Run(name, func(t *testing.T) {
			server, c := emulator(t)
			child, said := start(t, server.URL, believes)
			for range 5 {
				require.True(t, said.Scan(), "the child writes")
			}
			require.NoError(t, child.Process.Signal(syscall.SIGSTOP))
			shorten(t, c)

			began := time.Now()
			l := open(t, overWire(server.URL, 3*time.Second))
			t.Logf("taken over after %v", time.Since(began).Round(10*time.Millisecond))
			have := seqs(t, l, "d-1", 1)
			before := dump(t, c)
			require.NoError(t, child.Process.Signal(syscall.SIGCONT))
			last, end := 0, ""
			for said.Scan() {
				if n := 0; strings.HasPrefix(said.Text(), "lost:") {
					end = said.Text()
				} else if _, err := fmt.Sscan(said.Text(), &n); err == nil {
					last = n
				}
			}
			require.NoError(t, child.Wait())
			require.Contains(t, end, "lost: true")
			require.LessOrEqual(t, last, len(have), "nothing was acknowledged that the heir has not read")
			require.Equal(t, before, dump(t, c), "it has written nothing")
			require.NoError(t, l.Append(t.Context(), record("d-1", int64(len(have)+1))))
			require.NoError(t, l.Close())
		})
	}
}

// start starts a controller in a process of its own.
func start(t *testing.T, url string, ttl time.Duration) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), urlVar+"="+url, ttlVar+"="+ttl.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

// shorten lets everybody but its holder believe that the lease lasts three seconds.
func shorten(t *testing.T, c *sdk.Client) {
	t.Helper()
	_, err := c.UpdateItem(t.Context(), &sdk.UpdateItemInput{
		TableName: aws.String("deployments"), Key: item{"pk": &types.AttributeValueMemberS{Value: "g/web"}, "sk": &types.AttributeValueMemberS{Value: "lease"}},
		UpdateExpression: aws.String("SET ttlMillis = :t"), ExpressionAttributeValues: item{":t": &types.AttributeValueMemberN{Value: "3000"}},
	})
	require.NoError(t, err)
}
