package agent

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// purge removes the group's oldest revisions so that, with the one that is about
// to come, no more than Keep are left. Never removed are the installed revision,
// which the next deployment stops with its own scripts, and the one to go back
// to; they count nevertheless. A failure is a note: what could not be removed is
// tried again next time.
func (w *work) purge() {
	g, err := w.a.group(w.job.Group)
	if err != nil {
		w.warn("", "old revisions were not removed, since it is not known which one is installed: %v", err)
		return
	}
	dir := filepath.Dir(w.dir)
	var old []string
	for _, name := range byAge(dir) {
		if name != filepath.Base(w.dir) {
			old = append(old, name)
		}
	}
	excess := len(old) - (w.a.keep() - 1)
	for _, name := range old {
		if excess <= 0 {
			return
		}
		if name == part(g.Installed.Deployment) || w.lastGood(filepath.Join(dir, name)) {
			continue
		}
		excess--
		w.remove(filepath.Join(dir, name))
	}
}

func (w *work) lastGood(dir string) bool {
	if w.job.LastGood == "" {
		return false
	}
	r, err := readRelease(dir)
	return err == nil && r.Digest == w.job.LastGood
}

// remove drops a revision. Its release goes first, so that what is half removed
// is never taken for a retained one.
func (w *work) remove(dir string) {
	err := errors.Join(os.RemoveAll(filepath.Join(dir, releaseFile)), os.RemoveAll(dir))
	if err != nil {
		w.warn(lifecycle.Code(""), "the old revision in %s could not be removed: %v", dir, err)
	}
}
