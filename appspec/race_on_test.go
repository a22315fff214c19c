//go:build race

package appspec

// raceEnabled says that the detector makes everything several times slower.
const raceEnabled = true
