package revision

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type opener struct {
	kind Kind
	src  Source
	err  error
}

func (o opener) At(l Location) (Source, error) {
	if l.Kind != o.kind {
		return nil, OtherKind(l, o.kind)
	}
	return o.src, o.err
}

func TestTheFirstOpenerThatKnowsTheKind(t *testing.T) {
	one, two, bad := Inline{Name: "1"}, Inline{Name: "2"}, errors.New("bad")
	with := []Opener{opener{kind: "a", src: one}, opener{kind: "b", src: two}, opener{kind: "b", src: one}, opener{kind: "c", err: bad}}
	src, err := FromLocation(Location{Kind: "b"}, with...)
	require.NoError(t, err)
	require.Equal(t, two, src)
	_, err = FromLocation(Location{Kind: "c"}, with...)
	require.Equal(t, bad, err)
	_, err = FromLocation(Location{Kind: "d", Path: "there"}, with...)
	require.ErrorContains(t, requireCode(t, UnknownKind, err), `there: a location of kind "d" is not opened here, only ["directory" "archive" "inline"]`)

	// An opener for archives keeps its limits.
	limited := ArchiveFile{Limits: Limits{Members: 1}}
	src, err = FromLocation(Location{Kind: KindArchive, Path: "/x"}, limited)
	require.NoError(t, err)
	require.Equal(t, ArchiveFile{Path: "/x", Limits: limited.Limits, recorded: true}, src)
	_, err = limited.At(Location{Kind: KindDir, Path: "/x"})
	requireCode(t, UnknownKind, err)
	_, err = Inline{}.At(Location{Kind: KindDir, Path: "/x"})
	requireCode(t, UnknownKind, err)
}

func TestLocationsForPeople(t *testing.T) {
	for want, l := range map[string]Location{
		"/a/b":                  {Kind: KindDir, Path: "/a/b"},
		"inline:x.yaml":         {Kind: KindInline, Params: map[string]string{"name": "x.yaml", "content": "secret?"}},
		"s3://b/k/l":            {Kind: KindS3, Params: map[string]string{"bucket": "b", "key": "k/l", "sha256": "x"}},
		"s3://b/k?versionId=v":  {Kind: KindS3, Params: map[string]string{"bucket": "b", "key": "k", "version": "v"}},
		"github:o/r@c":          {Kind: KindGitHub, Params: map[string]string{"owner": "o", "repository": "r", "commit": "c"}},
		"gcs:bucket=b,object=o": {Kind: "gcs", Params: map[string]string{"object": "o", "bucket": "b"}},
		"gcs://b/o":             {Kind: "gcs", Path: "gcs://b/o", Params: map[string]string{"x": "y"}},
		"":                      {},
	} {
		require.Equal(t, want, l.String())
	}
}

func TestLocationsComeBackFromJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Location{
			Kind: rapid.SampledFrom([]Kind{KindDir, KindArchive, KindInline, KindS3, KindGitHub, "x"}).Draw(t, "kind"),
			Path: rapid.String().Draw(t, "path"),
		}
		if p := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "params"); len(p) > 0 {
			l.Params = p
		}
		text, err := json.Marshal(l)
		require.NoError(t, err)
		var back Location
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, l, back)
	})
}

// Whatever stands in a record, opening it ends in a source or in an error of ours, and
// a source has the location that it was made of, as far as it counts.
func FuzzFromLocation(f *testing.F) {
	f.Add([]byte(`{"kind":"directory","path":"/x"}`))
	f.Add([]byte(`{"kind":"inline","params":{"name":"appspec.yaml","content":"version: 0.0","sha256":"00"}}`))
	f.Add([]byte(`{"kind":"s3","params":{"bucket":"b","key":"k"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l Location
		if json.Unmarshal(text, &l) != nil {
			return
		}
		_ = l.String()
		src, err := FromLocation(l)
		if err != nil {
			e, ours := errors.AsType[*Error](err)
			require.True(t, ours && e.Code == UnknownKind)
			return
		}
		require.Equal(t, l.Kind, src.Location().Kind)
		if l.Kind != KindInline {
			return
		}
		b, err := src.Open(t.Context(), t.TempDir())
		if err != nil {
			_, ours := errors.AsType[*Error](err)
			require.True(t, ours)
			return
		}
		require.Len(t, b.Manifest.Entries, 1)
	})
}
