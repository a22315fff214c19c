package dynamodb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sort keys in a group's partition.
const (
	leaseKey      = "lease"
	headPrefix    = "d/"
	unlockPrefix  = "u/"
	partSeparator = "/"
)

// longest is how many bytes of a name go into a key, which may have 2048.
const longest = 1000

// groupKey is the partition of a group's lease and deployments.
func groupKey(group string) string {
	if name, ok := inKey(group); !ok {
		return "h/" + name
	}
	return "g/" + group
}

// recordsKey is the partition of the records of a group's nth deployment. The number
// has no separator in it, so no two groups share one.
func recordsKey(group string, n int64) string {
	name, ok := inKey(group)
	if !ok {
		return fmt.Sprintf("s/%s/%012d", name, n)
	}
	return fmt.Sprintf("r/%s/%012d", name, n)
}

// inKey is a name as it stands in keys, and whether that is the name itself.
func inKey(group string) (string, bool) {
	if len(group) <= longest && utf8.ValidString(group) && strings.IndexFunc(group, unicode.IsControl) < 0 {
		return group, true
	}
	sum := sha256.Sum256([]byte(group))
	return hex.EncodeToString(sum[:]), false
}

func headKey(n int64) string { return fmt.Sprintf("%s%012d", headPrefix, n) }

func unlockKey(epoch int64) string { return fmt.Sprintf("%s%012d", unlockPrefix, epoch) }

// appendKey is the item of the Append that begins with a record. It sorts by number,
// and before its own parts.
func appendKey(first int64) string { return fmt.Sprintf("%019d", first) }

func partKey(first int64, attempt string, part int) string {
	return fmt.Sprintf("%s/%s/%04d", appendKey(first), attempt, part)
}
