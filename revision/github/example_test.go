package github_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/cutover-deploy/cutover/revision/github"
)

// server stands for GitHub.
func server() *httptest.Server {
	content := archive(&testing.T{}, "acme-shop-"+commit[:7], "appspec.yml")
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(content) }))
}

func Example() {
	hub := server()
	defer hub.Close()
	work, err := os.MkdirTemp("", "github")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(work)
	src := github.Commit{
		Owner: "acme", Repository: "shop", Commit: "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d",
		BaseURL: hub.URL, // leave it out for github.com
	}
	bundle, err := src.Open(context.Background(), work)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(bundle.Revision(src).Location)
	fmt.Println(bundle.Manifest.Entries[0].Path)
	fmt.Println(bundle.Notes)
	// Output:
	// github:acme/shop@7fd1a60b01f91b314f59955a4e4d4e80d8edf11d
	// appspec.yml
	// [the leading folder "acme-shop-7fd1a60" is dropped]
}
