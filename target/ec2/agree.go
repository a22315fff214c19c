package ec2

import (
	"context"
	"time"
)

// recent is how old a reading may be that was begun after the last change.
const recent = time.Second

// agreeing is how many looks in a row must say the same: one may be older than what
// was written.
const agreeing = 2

// believe looks until a look says yes. That the answer is no is believed only if so many
// looks agree, with a pause between them.
func believe(ctx context.Context, pause time.Duration, look func() (yes bool, err error)) (bool, error) {
	for looks := 1; ; looks++ {
		if yes, err := look(); yes || err != nil || looks == agreeing {
			return yes, err
		}
		if err := sleep(ctx, pause); err != nil {
			return false, err
		}
	}
}
