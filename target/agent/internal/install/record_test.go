package install

import (
	"bytes"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever a path holds, its record is one line that reads back the same.
func TestRecordsReadBackTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		r := &record{
			Path: text.Draw(t, "path"), Kind: rapid.SampledFrom([]kind{kindFile, kindDir, kindLink, kindOther}).Draw(t, "kind"),
			Mode: fs.FileMode(rapid.Uint32().Draw(t, "mode")), Size: rapid.Int64().Draw(t, "size"), Mtime: rapid.Int64().Draw(t, "mtime"),
			Ino: rapid.Uint64().Draw(t, "ino"), UID: rapid.Int().Draw(t, "uid"), GID: rapid.Int().Draw(t, "gid"),
			Digest: text.Draw(t, "digest"), Link: text.Draw(t, "link"), Attrs: text.Draw(t, "attrs"),
			Fixed: rapid.Bool().Draw(t, "fixed"), By: text.Draw(t, "by"),
		}
		if rapid.Bool().Draw(t, "rare") {
			r.Took = &kept{ID: "d-1/7", Kind: kindFile, Mode: 0o644, Size: 3}
			r.Label = &label{Type: "bin_t"}
		}
		line, err := r.appendTo(nil)
		require.NoError(t, err)
		require.Equal(t, 1, bytes.Count(line, []byte("\n")))
		require.NotEqual(t, byte('"'), line[0], "that is how the checksum begins")
		back, err := parseRecord(string(line))
		require.NoError(t, err)
		require.Equal(t, r, back)
	})
}
