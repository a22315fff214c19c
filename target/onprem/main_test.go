package onprem_test

import (
	"os"
	"testing"

	"github.com/cutover-deploy/cutover/target/agent"
)

// TestMain lets this test program be sent to hosts as their agent.
func TestMain(m *testing.M) {
	agent.Main()
	os.Exit(m.Run())
}
