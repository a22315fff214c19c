package journal

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Whatever is in the file: no panic; the records that are read are numbered
// densely; and if nothing was refused, the good part reads the same without the
// torn end, and takes another record.
func FuzzReader(f *testing.F) {
	golden, err := os.ReadFile("testdata/format1.jsonl")
	require.NoError(f, err)
	f.Add(golden)
	f.Add(golden[:len(golden)-5])
	f.Add(append(bytes.Clone(golden), 0, 0, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		records, end, torn, err := scanBytes(content)
		for i, r := range records {
			require.Equal(t, int64(i)+1, r.Seq)
		}
		if err != nil {
			return
		}
		require.Equal(t, int64(len(content)), end.size+torn)
		require.Equal(t, int64(len(records))+1, end.next)

		next := lifecycle.Record{Seq: end.next, Step: lifecycle.Step{Deployment: "d-1"}}
		e := encoder{sum: end.sum}
		require.NoError(t, e.records([]lifecycle.Record{next}))
		again, _, torn, err := scanBytes(slices.Concat(content[:end.size], e.buf.Bytes()))
		require.NoError(t, err)
		require.Zero(t, torn)
		require.Equal(t, append(records, next), again)
	})
}

func scanBytes(content []byte) (records []lifecycle.Record, end tail, torn int64, err error) {
	end, torn, err = scanFrom(context.Background(), bytes.NewReader(content), entry{id: "d-1"}, "g", 1,
		func(r lifecycle.Record) bool { records = append(records, r); return true })
	return records, end, torn, err
}

func TestNamesAreSafeAndDiffer(t *testing.T) {
	names := []string{"billing", "Billing", "BILLING", "a/b", "a_b", "a\\b", "..", ".", "", "con", "COM1", "-x", "a~b", "é", "e"}
	seen := map[string]string{}
	for _, name := range names {
		dir := groupDir(name)
		require.Regexp(t, `^[A-Za-z0-9_][A-Za-z0-9_~-]*$|^~|^-x~`, dir)
		folded := string(bytes.ToLower([]byte(dir)))
		require.NotContains(t, seen, folded, "%q and %q", name, seen[folded])
		seen[folded] = name
	}
	require.Equal(t, "billing", groupDir("billing"))
	require.Equal(t, "000012-d-1K2M.jsonl", fileName(12, "d-1K2M"))

	n, id, ok := splitName(fileName(1234567, "d-1"))
	require.True(t, ok)
	require.Equal(t, 1234567, n)
	require.Equal(t, "d-1", id)
	_, id, ok = splitName(fileName(1, "d/1"))
	require.True(t, ok)
	require.Empty(t, id, "the file knows it")
	for _, name := range []string{"lock", "1-d.jsonl", "0000001-d.jsonl", "000000-d.jsonl", "000001-d.jsonl.partial", "notes.txt"} {
		_, _, ok := splitName(name)
		require.False(t, ok, name)
	}
}
