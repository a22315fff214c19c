// Package targettest proves that a target keeps the contract of [target.Target].
//
// In a test of your driver:
//
//	func TestConformance(t *testing.T) {
//		targettest.Run(t, func(t *testing.T) *targettest.Harness {
//			return &targettest.Harness{Target: newMyTarget(t)}
//		})
//	}
//
// [Run] checks every [Rule] on a target of its own and says for each that is
// broken what was seen and what would go wrong. [Check] does the same outside of
// tests. The fields of [Harness] other than Target tell the suite how to make a
// step slow, let it fail, or count effects; rules that need what is not there are
// skipped and named.
//
// The package imports only the standard library beside this module.
package targettest
