package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// keepAgents is how many executables stay on a host: that of this build, and those
// of the last few, for controllers that have not been renewed.
const keepAgents = 3

// installSelf puts the executable of this process to the place that is named by
// its digest, after it has seen that the digest is right, and prunes old ones.
func installSelf(place, digest string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	have, err := hashFile(self)
	if err != nil {
		return err
	}
	if have != digest {
		return fmt.Errorf("the executable has SHA-256 %s, sent was %s: it was damaged on the way", have, digest)
	}
	if err := os.Chmod(self, 0o700); err != nil {
		return err
	}
	// A crash must not leave an executable of that name that is none.
	if err := syncFile(self); err != nil {
		return err
	}
	if err := os.Rename(self, place); err != nil {
		return err
	}
	pruneAgents(filepath.Dir(place), filepath.Base(place))
	return nil
}

func syncFile(path string) error {
	if runtime.GOOS == "windows" {
		return nil // what runs cannot be opened for it there
	}
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

var agentName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// pruneAgents removes all executables but the one named and the few used last.
// What was cut off in the middle of a transfer goes after a day.
func pruneAgents(dir, keep string) {
	entries, _ := os.ReadDir(dir)
	used := map[string]time.Time{}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.Name() == keep {
			continue
		}
		if agentName.MatchString(e.Name()) {
			names = append(names, e.Name())
			used[e.Name()] = info.ModTime()
		} else if len(e.Name()) > 4 && e.Name()[:4] == "new." && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	slices.SortFunc(names, func(a, b string) int { return used[b].Compare(used[a]) })
	for _, name := range names[min(len(names), keepAgents-1):] {
		_ = os.Remove(filepath.Join(dir, name))
	}
}

// markUsed keeps an executable from being pruned by the next one that comes.
func markUsed(dir, digest string) {
	now := time.Now()
	_ = os.Chtimes(filepath.Join(dir, agentsDir, digest), now, now) // it need not be there
}
