//go:build unix

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// otherVar names a program that takes the place of the child process of the oracle
// tests: a driver that does the same deployments in another way.
const otherVar = "CUTOVER_ORACLE_PROGRAM"

// TestOracleThroughAnotherProgram does each recorded case twice, here and by another
// program, and asks for the same results. The tests of drivers call it.
func TestOracleThroughAnotherProgram(t *testing.T) {
	program := os.Getenv(otherVar)
	if program == "" {
		t.Skip("SKIPPED another program: a part of the tests of drivers, which name it")
	}
	dir := oracleDir(t)
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	var same, cases atomic.Int64
	t.Run("case", func(t *testing.T) {
		for _, e := range list {
			c := filepath.Join(dir, e.Name())
			if !e.IsDir() || loadCase(t, c).unmet() != "" {
				continue
			}
			t.Run(e.Name(), func(t *testing.T) {
				t.Parallel()
				cases.Add(1)
				if compareWays(t, loadCase(t, c), program) {
					same.Add(1)
				}
			})
		}
	})
	fmt.Printf("oracle: %d cases done in two ways, %d with the same results\n", cases.Load(), same.Load())
}

func compareWays(t *testing.T, c *oracleCase, program string) bool {
	here, there := newOracleRun(t, c), newOracleRun(t, c)
	there.program = program
	here.ops(t, c.Setup)
	there.ops(t, c.Setup)
	ok := true
	for i := range c.Deployments {
		one, other := here.deploy(t, i), there.deploy(t, i)
		if f, g := one.report.Failure, other.report.Failure; f != nil && g != nil && f.Code == g.Code {
			other.Error.Kind = one.Error.Kind // that is seen from causes, which do not travel
		}
		x := &comparison{c: c, d: c.Deployments[i], n: i, want: one.oracleOutcome, got: other}
		x.compare()
		for _, d := range x.diffs {
			ok = false
			t.Errorf("deployment %d (%s): %s:\n  here  %s\n  there %s", i+1, x.d.ID, d.what, d.want, d.got)
		}
		if t.Failed() {
			t.Logf("there: %+v\nfailure: %+v", other.report, other.report.Failure)
		}
	}
	return there.contained(t) && ok
}
