package function

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Files is a [Ledger] in a directory, which it makes when it needs it: a small file
// for each execution, that anybody may read and remove once its deployment is over.
// One process uses it at a time; the lock of a journal beside it sees to that.
type Files struct{ Dir string }

// Load implements [Ledger]. A file that holds anything else is an error.
func (f *Files) Load(_ context.Context, key string) (Execution, error) {
	var e Execution
	data, err := os.ReadFile(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err == nil && e.Step.Key() != key {
		err = fmt.Errorf("it is about the step %s", e.Step.Key())
	}
	if err != nil {
		return Execution{}, fmt.Errorf("reading what is known of the hook of %s: %w", key, err)
	}
	return e, nil
}

// Save implements [Ledger]: a new file takes the place of the old one.
func (f *Files) Save(_ context.Context, key string, e Execution) error {
	data, err := json.Marshal(e)
	if err == nil {
		err = os.MkdirAll(f.Dir, 0o700)
	}
	if err == nil {
		err = replace(f.path(key), data)
	}
	if err != nil {
		return fmt.Errorf("writing down the hook of %s: %w", key, err)
	}
	return nil
}

// path is a name that any key fits into.
func (f *Files) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(f.Dir, hex.EncodeToString(sum[:16])+".json")
}

// replace writes a file so that after a crash it is the old one or the new one.
func replace(path string, data []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
