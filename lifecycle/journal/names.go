package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	nameMax = 64 // bytes of a name that are kept readable
	marked  = "~"
	suffix  = ".jsonl"
)

// reserved are names that Windows gives to devices.
var reserved = []string{"con", "prn", "aux", "nul"}

// groupDir is the directory of a group: its name where that is safe on every
// file system, letters' case included, else a readable rest and a hash.
func groupDir(group string) string {
	return safeName(group, group == strings.ToLower(group))
}

// fileName is the file of a group's nth deployment. The number keeps names
// apart, so the case of letters does not matter.
func fileName(n int, id string) string {
	return fmt.Sprintf("%06d-%s%s", n, safeName(id, true), suffix)
}

// splitName takes a fileName apart. An id that had to be changed to be safe is
// returned empty: the file's first line knows it.
func splitName(name string) (n int, id string, ok bool) {
	num, id, found := strings.Cut(strings.TrimSuffix(name, suffix), "-")
	n, err := strconv.Atoi(num)
	if !found || !strings.HasSuffix(name, suffix) || err != nil || n < 1 || fileNumber(n) != num {
		return 0, "", false
	}
	if strings.Contains(id, marked) {
		id = ""
	}
	return n, id, true
}

func fileNumber(n int) string { return fmt.Sprintf("%06d", n) }

func safeName(s string, ok bool) string {
	ok = ok && s != "" && len(s) <= nameMax && s[0] != '-' && !deviceName(s)
	readable := []byte(s[:min(len(s), nameMax)])
	for i, c := range readable {
		if !plain(c) {
			readable[i], ok = '_', false
		}
	}
	if ok {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return string(readable) + marked + hex.EncodeToString(sum[:8])
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func deviceName(s string) bool {
	l := strings.ToLower(s)
	return slices.Contains(reserved, l) ||
		len(l) == 4 && (l[:3] == "com" || l[:3] == "lpt") && l[3] >= '0' && l[3] <= '9'
}
