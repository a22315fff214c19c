//go:build unix

package agent

// hasModes says that files have permission bits that mean something.
const hasModes = true
