//go:build !linux && !darwin

package revision

// openFolder opens a directory, following links in the path to it.
func openFolder(dir string) (folder, error) { return openRootFolder(dir) }

// syncsTrees says that each file is to be synced when it is written.
const syncsTrees = false

// syncTree has nothing left to do: folders cannot be synced here.
func syncTree(string, []Entry) error { return nil }
