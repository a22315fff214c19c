package targettest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/cutover-deploy/cutover/target/targettest"
)

// A target that lists a unit twice is told so.
func ExampleCheck() {
	err := targettest.Check(context.Background(), func() (*targettest.Harness, error) {
		return &targettest.Harness{Target: newModel("lists twice")}, nil
	})
	v, _ := errors.AsType[*targettest.Violation](err)
	fmt.Println(v.Rule)
	fmt.Println(v.Err)
	// Output:
	// units are unique
	// unit "a" is listed twice
}
