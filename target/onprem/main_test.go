//go:build linux

package onprem_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/cutover-deploy/cutover/target/agent"
)

// TestMain lets this test program be sent to hosts as their agent.
func TestMain(m *testing.M) {
	agent.Main()
	if file := os.Getenv(oracleVar); file != "" {
		oracleChild(file)
		return
	}
	if file := os.Getenv(controllerVar); file != "" {
		if err := control(file); err != nil {
			fmt.Fprintln(os.Stderr, "controller:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func contextForever() context.Context { return context.Background() }
