//go:build !race

package agent

// raceDetector says that the race detector takes memory of its own.
const raceDetector = false
