//go:build !race

package appspec

const raceEnabled = false
