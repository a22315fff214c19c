package onprem

// SendPlain keeps a test from compressing its own executable, which takes the race
// detector many seconds.
func SendPlain(a *Access) *Access {
	a.plain = true
	return a
}
