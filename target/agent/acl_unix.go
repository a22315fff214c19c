//go:build unix && !linux

package agent

// hasACL is true where we cannot tell: then permission bits prove nothing.
func hasACL(string) bool { return true }
