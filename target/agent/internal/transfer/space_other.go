//go:build !unix

package transfer

// WithSpace says how full the disk is, where that can be found out.
func WithSpace(err error, _ string, _ int64) error { return err }
