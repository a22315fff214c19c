package ecs_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// lifeEnv makes the test binary one life of a controller: see TestLife.
const lifeEnv = "ECS_TEST_LIFE"

func TestMain(m *testing.M) {
	if os.Getenv(lifeEnv) != "" {
		os.Exit(m.Run()) // it leaves open connections to an emulator that outlives it
	}
	goleak.VerifyTestMain(m)
}
