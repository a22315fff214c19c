package revision_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutover-deploy/cutover/revision"
)

// Open what the user named, and copy it: what arrives is what was opened.
func Example() {
	base, _ := os.MkdirTemp("", "revision")
	defer os.RemoveAll(base)
	src := filepath.Join(base, "shop")
	os.Mkdir(src, 0o755)
	os.WriteFile(filepath.Join(src, "appspec.yml"), []byte("version: 0.0\nos: linux\n"), 0o644)
	os.Symlink("appspec.yml", filepath.Join(src, "link"))

	ctx := context.Background()
	source, err := revision.Local(src) // or shop.zip, shop.tar.gz
	if err != nil {
		fmt.Println(err)
		return
	}
	bundle, err := source.Open(ctx, filepath.Join(base, "work"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range bundle.Manifest.Entries {
		fmt.Printf("%v %s %q\n", e.Mode, e.Path, e.Link)
	}

	// Somebody edits the directory before it is copied.
	os.WriteFile(filepath.Join(src, "appspec.yml"), []byte("version: 6.6\nos: linux\n"), 0o644)
	err = bundle.Copy(ctx, filepath.Join(base, "copy"), revision.CopyOptions{})
	if e, ok := errors.AsType[*revision.Error](err); ok {
		fmt.Println(e.Code, e.Member)
	}
	// Output:
	// -rw-r--r-- appspec.yml ""
	// Lrwxrwxrwx link "appspec.yml"
	// DigestMismatch appspec.yml
}
