package agent

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/revision"
)

// releaseFormat is written into every release; another one is not read.
const releaseFormat = 1

// release is a downloaded revision as the agent remembers it. It lies beside the
// archive, not in it: scripts may edit the archive, and an edited AppSpec must
// not change what later events and later deployments do.
type release struct {
	Format     int           `json:"format"`
	Group      string        `json:"group"`
	Deployment string        `json:"deployment"`
	Digest     string        `json:"digest"`
	Kind       revision.Kind `json:"kind"`    // of its source: says what the modes in the manifest mean
	AppSpec    string        `json:"appspec"` // path of the AppSpec file in the archive
	Spec       *appspec.Spec `json:"spec"`

	// Scripts maps each hook script's path in the archive to the digest it had.
	Scripts map[string]string `json:"scripts,omitempty"`
}

// readRelease reads what is remembered in a deployment's folder.
func readRelease(dir string) (*release, error) {
	r := &release{}
	found, err := readJSON(filepath.Join(dir, releaseFile), r)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("%s is missing: %w", filepath.Join(dir, releaseFile), os.ErrNotExist)
	case r.Format != releaseFormat || r.Spec == nil:
		return nil, fmt.Errorf("%s has format %d, this version reads format %d", filepath.Join(dir, releaseFile), r.Format, releaseFormat)
	}
	return r, nil
}
