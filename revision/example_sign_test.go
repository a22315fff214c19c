package revision_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cutover-deploy/cutover/revision"
)

// Whoever builds a release signs it; whoever deploys it trusts the public key.
func ExampleSign() {
	dir, err := os.MkdirTemp("", "sign")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shop.yaml")
	content := []byte("version: 0.0\nResources: []\n")
	os.WriteFile(path, content, 0o644)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	release := revision.ArchiveFile{Path: path, Verifier: revision.Ed25519{Keys: map[string]ed25519.PublicKey{"build-2026": public}, Name: "shop"}}
	open := func(work string) {
		_, err := release.Open(context.Background(), filepath.Join(dir, work))
		if e, ok := errors.AsType[*revision.Error](err); ok {
			fmt.Println(e.Code, e.Err)
			return
		}
		fmt.Println("opened", err)
	}
	open("1")

	sum := sha256.Sum256(content)
	sig, err := revision.Sign(revision.Statement{SHA256: hex.EncodeToString(sum[:]), Name: "shop", Signed: time.Now()}, "build-2026", private)
	if err != nil {
		fmt.Println(err)
		return
	}
	os.WriteFile(path+".sig", sig, 0o644)
	open("2")
	// Output:
	// NotSigned has no signature, and one is required
	// opened <nil>
}
