package appspec_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/appspec"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/revision"
)

const functionYAML = `version: 0.0
Resources:
  - shop:
      Type: AWS::Lambda::Function
      Properties: {Name: shop, Alias: live, CurrentVersion: "1", TargetVersion: "2"}
Hooks:
  - BeforeAllowTraffic: check
`

const functionJSON = `{"version": 0.0,
 "Resources": [{"shop": {"Type": "AWS::Lambda::Function",
   "Properties": {"Name": "shop", "Alias": "live", "CurrentVersion": "1", "TargetVersion": "2"}}}],
 "Hooks": [{"BeforeAllowTraffic": "check"}]}
`

// An AppSpec for ECS or Lambda comes as a text, as a file alone, or as the only file of
// an archive; each way ends in the same AppSpec.
func TestDeliveryOfAnAppSpecAlone(t *testing.T) {
	file := func(name string, content []byte) revision.Source {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return revision.Archive(path)
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	m, err := w.Create("appspec.yaml")
	require.NoError(t, err)
	_, err = m.Write([]byte(functionYAML))
	require.NoError(t, err)
	require.NoError(t, w.Close())

	for name, src := range map[string]revision.Source{
		"inline YAML": revision.Inline{Content: functionYAML}, "inline JSON": revision.Inline{Content: functionJSON},
		"YAML file": file("shop.yaml", []byte(functionYAML)), "JSON file": file("shop.json", []byte(functionJSON)),
		"zip": file("shop.zip", packed.Bytes()),
	} {
		b, err := src.Open(t.Context(), t.TempDir())
		require.NoError(t, err, name)
		fsys := os.DirFS(b.Dir)
		found, notes, err := appspec.Find(fsys, "")
		require.NoError(t, err, name)
		require.Empty(t, notes, name)
		text, err := os.ReadFile(filepath.Join(b.Dir, found))
		require.NoError(t, err)
		s, warnings, err := appspec.Parse(found, text, appspec.Options{Platform: lifecycle.Lambda})
		require.NoError(t, err, name)
		require.Empty(t, warnings, name)
		require.Equal(t, "2", s.Function.TargetVersion, name)
		require.Equal(t, "check", s.Functions[0].Function, name)
	}

	// What is wrong in it is told with its place, not refused as no archive.
	b, err := file("shop.json", []byte(strings.Replace(functionJSON, "check", "", 1))).Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(b.Dir, "appspec.yaml"))
	require.NoError(t, err)
	_, _, err = appspec.Parse("appspec.yaml", text, appspec.Options{Platform: lifecycle.Lambda})
	require.ErrorContains(t, err, "appspec.yaml:4:")
}
