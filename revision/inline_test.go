package revision

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	lambdaYAML = "# ours\nversion: 0.0\nResources:\n  - fn: {Type: AWS::Lambda::Function}\n"
	lambdaJSON = `{"version": 0.0, "Resources": [{"fn": {"Type": "AWS::Lambda::Function"}}]}`
)

func TestInlineIsARevisionOfOneFile(t *testing.T) {
	for _, content := range []string{lambdaYAML, lambdaJSON} {
		src := Inline{Content: content}
		b := open(t, src)
		require.Equal(t, []string{"appspec.yaml"}, paths(b.Manifest))
		require.NoError(t, b.Manifest.Verify(t.Context(), b.Dir))
		require.NoError(t, b.Copy(t.Context(), filepath.Join(t.TempDir(), "d"), CopyOptions{}))
		rev := b.Revision(src)
		require.Equal(t, "inline:appspec.yaml", rev.Location.String())

		// The record alone is enough to open it again.
		text, err := json.Marshal(rev.Location)
		require.NoError(t, err)
		var l Location
		require.NoError(t, json.Unmarshal(text, &l))
		again, err := FromLocation(l)
		require.NoError(t, err)
		require.Equal(t, rev, open(t, again).Revision(again))

		// The same text as a file is the same revision.
		require.Equal(t, rev.Digest, open(t, Archive(save(t, "x.json", []byte(content)))).Manifest.Digest())

		l.Params["content"] += " "
		again, err = FromLocation(l)
		require.NoError(t, err)
		_, err = again.Open(t.Context(), t.TempDir())
		requireCode(t, DigestMismatch, err)
	}
	require.Equal(t, []string{"spec.yml"}, paths(open(t, Inline{Content: "version: 0.0", Name: "spec.yml"}).Manifest))
	require.Equal(t, []string{"appspec.yaml"}, paths(open(t, Inline{Content: "x", SHA256: strings.ToUpper(Inline{Content: "x"}.sum())}).Manifest))
}

func TestInlineRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		code Code
		src  Inline
	}{
		"nothing":      {NotAnArchive, Inline{Content: " \n"}},
		"no text":      {NotAnArchive, Inline{Content: "\xff"}},
		"other digest": {DigestMismatch, Inline{Content: "x", SHA256: "00"}},
		"too large":    {TooLarge, Inline{Content: strings.Repeat("x", maxSpec+1)}},
		"climbs":       {MemberPath, Inline{Content: "x", Name: "../x"}},
		"folder":       {MemberName, Inline{Content: "x", Name: "a/b"}},
	} {
		work := t.TempDir()
		_, err := c.src.Open(t.Context(), filepath.Join(work, "in"))
		e := requireCode(t, c.code, err)
		require.True(t, strings.HasPrefix(e.Error(), "inline:"), name)
		items, err := os.ReadDir(work)
		require.NoError(t, err)
		require.LessOrEqual(t, len(items), 1, name)
	}
}

// What is an AppSpec alone, and what is an answer in place of a download.
func TestDocuments(t *testing.T) {
	for content, want := range map[string]bool{
		lambdaYAML: true, lambdaJSON: true, "\xef\xbb\xbfversion: 0.0": true, "---\nos: linux\nversion: 0.0\n": true,
		"Version : 0.0": true, `{ "Resources": [],` + "\n" + `"version" : "0.0"}`: true, "version: 0.0\nbroken: [": true,
		"": false, "os: linux": false, `{"message":"Not Found"}`: false, "#!/bin/sh\nversion: 1": false, "<html>\nversion: 1": false,
		"<?xml?>\nversion: 1": false, "conversion: 1": false, "version: 1\x00": false, "version: \xff": false,
		"version: 0.0\n" + strings.Repeat("#", maxSpec): false,
	} {
		b, err := Archive(save(t, "a.zip", []byte(content))).Open(t.Context(), t.TempDir())
		if !want {
			requireCode(t, NotAnArchive, err)
			continue
		}
		require.NoError(t, err, content)
		require.Equal(t, []string{"appspec.yaml"}, paths(b.Manifest))
	}
}
