package lifecycle

import "time"

// now stamps the lines of a log. Nothing is decided by it.
func now() time.Time { return time.Now() }

// today is the day in the counting of the account database, which dates the
// expiry of accounts.
func today() int64 { return now().Unix() / (24 * 60 * 60) }
