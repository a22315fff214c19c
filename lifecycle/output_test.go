//go:build linux

package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// volume is how much output is a lot: 64 MiB, or what CUTOVER_OUTPUT_BYTES says
// (10737418240 for the full row). Short runs, those under the race detector among
// them, take less: it multiplies time and memory.
func volume() int64 {
	if n, err := strconv.ParseInt(os.Getenv("CUTOVER_OUTPUT_BYTES"), 10, 64); err == nil {
		return n
	}
	if testing.Short() {
		return 8 << 20
	}
	return 64 << 20
}

func TestD6_MuchOutputInConstantMemory(t *testing.T) {
	t.Parallel()
	// Eight bytes a line.
	kib, status, log := grown(t, "#!/bin/sh\nyes 1234567 | head -c %d\necho end\nexit 3\n", volume())
	require.Contains(t, status, "exit status 3")
	require.Greater(t, len(log), lifecycle.DefaultMaxLog)
	require.LessOrEqual(t, len(log), lifecycle.DefaultMaxLog+200)
	require.Contains(t, log[lifecycle.DefaultMaxLog:], "truncated ")
	require.Less(t, kib, 16<<10)
}

func TestD6_TheTailHasWhatCameLast(t *testing.T) {
	t.Parallel()
	e := run(t, "#!/bin/sh\nyes 1234567 | head -c 2000000\necho end\nexit 3\n").failure(t, lifecycle.ScriptFailed)
	require.True(t, strings.HasSuffix(e.Log, "[stdout]1234567\n[stdout]end\n"))
	require.Less(t, len(e.Log), 5000)
}

func TestD7_OneLineOfAnyLength(t *testing.T) {
	t.Parallel()
	kib, status, log := grown(t, "#!/bin/sh\nhead -c %d /dev/zero | tr '\\0' x\nprintf end\nexit 3\n", volume())
	require.Contains(t, status, "exit status 3")
	require.LessOrEqual(t, len(log), lifecycle.DefaultMaxLog+200)
	require.Less(t, kib, 16<<10)
}

func TestD7_TheEndOfALongLineIsKept(t *testing.T) {
	t.Parallel()
	e := run(t, "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\nprintf end\nexit 3\n").failure(t, lifecycle.ScriptFailed)
	require.True(t, strings.HasSuffix(e.Log, "xxxend"))
	require.Less(t, len(e.Log), 2048)
}

func TestLogLimitCountsEveryByte(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var notes []lifecycle.Note
	r := lifecycle.Runner{Log: &log, MaxLog: 100, Note: func(n lifecycle.Note) { notes = append(notes, n) }}
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\nseq 1 100\n")}
	require.NoError(t, r.Run(t.Context(), env(t), []lifecycle.Hook{s}))

	var whole bytes.Buffer
	r2 := lifecycle.Runner{Log: &whole, MaxLog: -1}
	require.NoError(t, r2.Run(t.Context(), env(t), []lifecycle.Hook{s}))
	require.Len(t, notes, 1)
	require.Contains(t, notes[0].Text, fmt.Sprintf("truncated %d bytes", whole.Len()-100))
	require.Contains(t, log.String(), notes[0].Text)
}

func TestD8_OutputThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\nprintf 'caf\\351 ok\\n\\377\\376\\n\\000'\nexit 6\n")
	e := r.failure(t, lifecycle.ScriptFailed)
	require.Equal(t, 6, e.Exit)
	require.Contains(t, e.Log, "[stdout]caf\xe9 ok\n[stdout]\xff\xfe\n[stdout]\x00", "stored raw")
	require.Contains(t, lifecycle.Escape(e.Log), `caf\xe9 ok`+"\n"+`[stdout]\xff\xfe`+"\n"+`[stdout]\x00`)
	text, err := json.Marshal(e.Failure)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
}

func TestD9_OutputCannotPretend(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\nprintf 'LifecycleEvent - Install\\n\\033[2J\\rSucceeded\\n'\nexit 1\n")
	e := r.failure(t, lifecycle.ScriptFailed)
	require.Equal(t, "LifecycleEvent - BeforeInstall\nScript - a.sh\n[stdout]LifecycleEvent - Install\n[stdout]"+`\x1b[2J\rSucceeded`+"\n",
		lifecycle.Escape(e.Log), "every line says where it comes from")
}

func TestS9_OutputOfAllBytes(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\ni=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done; echo\n")
	require.NoError(t, r.err)
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	want := "[stdout]" + strings.Replace(string(all), "\n", "\n[stdout]", 1) + "\n"
	require.Equal(t, "LifecycleEvent - BeforeInstall\nScript - a.sh\n"+want, r.log)
}

func TestScriptMayReopenItsOutput(t *testing.T) {
	t.Parallel()
	r := run(t, "#!/bin/sh\necho one\necho two >/dev/stdout\necho three | tee /dev/stderr >/dev/null\n")
	require.NoError(t, r.err)
	require.Contains(t, r.log, "[stdout]one\n[stdout]two\n")
	require.Contains(t, r.log, "[stderr]three\n")
}

func TestScriptWithAPlainWriter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &lifecycle.Script{Location: "a.sh", Path: script(t, "#!/bin/sh\necho one\nprintf two\n")}
	require.NoError(t, s.Run(t.Context(), env(t), &out))
	require.Equal(t, "Script - a.sh\n[stdout]one\n[stdout]two", out.String())
	require.NoError(t, s.Run(t.Context(), env(t), io.Discard))
}
