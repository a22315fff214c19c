// Package journaltest proves that a journal keeps the contract of
// [journal.Journal].
//
//	func TestConformance(t *testing.T) {
//		journaltest.Run(t, func(t *testing.T) *journaltest.Harness {
//			return &journaltest.Harness{Journal: newMyJournal(t)}
//		})
//	}
//
// [Run] checks every [Rule] on a journal of its own, [Check] does the same outside
// of tests. [Tap] wraps a journal to look at every append, or to let one fail
// before or after it was written: with it a test can end a controller at every
// record.
//
// The package imports only the standard library beside this module.
package journaltest
