package cutover

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be a process that is killed. Otherwise: whoever
// starts a goroutine waits for it, so none is left when the tests are over.
func TestMain(m *testing.M) {
	beKilled()
	goleak.VerifyTestMain(m)
}
