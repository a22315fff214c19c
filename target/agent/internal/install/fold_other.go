//go:build !linux

package install

// casefolded is the usual answer of these systems for a directory that has no name
// to try it with.
func (d *dir) casefolded() bool { return true }
