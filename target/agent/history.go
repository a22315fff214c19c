package agent

import (
	"path/filepath"
)

// History is what a host knows about a deployment group.
type History struct {
	Installed Release   // whose files are there now; zero: none
	Latest    Release   // downloaded last, installed or not; zero: none
	Retained  []Release // downloaded revisions that are still on the host, oldest first
}

// Release is a revision that a deployment brought to a host.
type Release struct {
	Deployment string `json:"deployment,omitempty"`
	Digest     string `json:"digest,omitempty"` // of the revision
}

// group is the record of a group, as it is kept.
type group struct {
	Installed Release `json:"installed,omitzero"`
	Latest    Release `json:"latest,omitzero"`
}

func (a *Agent) groupPath(id string) string {
	return filepath.Join(a.dir(), groupsDir, part(id)+".json")
}

func (a *Agent) group(id string) (group, error) {
	var g group
	_, err := readJSON(a.groupPath(id), &g)
	return g, err
}

// setGroup changes the record of a group.
func (a *Agent) setGroup(id string, change func(*group)) error {
	g, err := a.group(id)
	if err != nil {
		return err
	}
	was := g
	change(&g)
	if g == was {
		return nil
	}
	return writeJSON(a.groupPath(id), g)
}

// History tells what the host knows about a deployment group. A group that was
// never deployed to this host has an empty one.
func (a *Agent) History(id string) (History, error) {
	g, err := a.group(id)
	if err != nil {
		return History{}, err
	}
	h := History{Installed: g.Installed, Latest: g.Latest}
	dir := filepath.Join(a.dir(), part(id))
	for _, name := range byAge(dir) {
		if !exists(filepath.Join(dir, name, archiveDir)) {
			continue
		}
		if r, err := readRelease(filepath.Join(dir, name)); err == nil {
			h.Retained = append(h.Retained, Release{Deployment: r.Deployment, Digest: r.Digest})
		}
	}
	return h, nil
}
