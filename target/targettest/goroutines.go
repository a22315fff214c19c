package targettest

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// checkGoroutines does all there is to do, closes the harness and compares.
// Whatever ran before, and whatever test machinery runs, is not counted.
func checkGoroutines(r *run) error {
	before := goroutines()
	if err := r.everything(); err != nil {
		return err
	}
	r.Close()
	left := leftRunning(before)
	for deadline := time.Now().Add(r.Patience); len(left) > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		left = leftRunning(before)
	}
	if len(left) > 0 {
		return fmt.Errorf("%d goroutines still run, one of them:\n%s", len(left), left[0])
	}
	return nil
}

func leftRunning(before map[string]string) []string {
	var left []string
	for id, stack := range goroutines() {
		if _, old := before[id]; !old {
			left = append(left, stack)
		}
	}
	return left
}

// goroutines returns the stacks of all goroutines by their id.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := map[string]string{}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if fields := strings.Fields(stack); len(fields) > 1 {
			all[fields[1]] = stack
		}
	}
	return all
}
