package agent

import (
	"slices"
	"strings"
)

// fixedEnv is what scripts start from when the caller says nothing, but on Windows.
var fixedEnv = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C.UTF-8",
}

func (a *Agent) baseEnv() []string {
	if a.Env == nil {
		return systemEnv()
	}
	return a.Env
}

// windowsEnv is fixedEnv where the system is in a directory such as C:\Windows, as far
// as it is the same for everybody. Without these, few of its programs run.
func windowsEnv(root, arch string) []string {
	return []string{
		"SystemRoot=" + root,
		"windir=" + root,
		"SystemDrive=" + root[:min(len(root), 2)],
		"ComSpec=" + root + `\System32\cmd.exe`,
		"PATH=" + root + `\System32;` + root + ";" + root + `\System32\Wbem;` + root + `\System32\WindowsPowerShell\v1.0\`,
		"PATHEXT=.COM;.EXE;.BAT;.CMD;.VBS;.JS;.WSF;.MSC",
		"TEMP=" + root + `\Temp`,
		"TMP=" + root + `\Temp`,
		"OS=Windows_NT",
		"PROCESSOR_ARCHITECTURE=" + strings.ToUpper(arch),
	}
}

// environ is the whole environment of the event's scripts: the base, over it the
// agent's own variables, over these the deployment's.
func (w *work) environ() []string {
	own := []string{
		"LIFECYCLE_EVENT=" + string(w.step.Event),
		"DEPLOYMENT_ID=" + shortID(w.step.Deployment),
		"APPLICATION_NAME=" + w.job.Application,
		"DEPLOYMENT_GROUP_NAME=" + w.groupName(),
		"DEPLOYMENT_GROUP_ID=" + w.job.Group,
		"CUTOVER_ROOT=" + w.a.root(),
	}
	for _, v := range bundleVars {
		if text := w.job.Revision.Location.Params[v.param]; text != "" {
			own = append(own, v.name+"="+text)
		}
	}
	return merge(w.a.baseEnv(), own, w.job.Env)
}

// bundleVars tell scripts where the revision came from, if it came from afar.
var bundleVars = []struct{ name, param string }{
	{"BUNDLE_BUCKET", "bucket"}, {"BUNDLE_KEY", "key"}, {"BUNDLE_VERSION", "version"}, {"BUNDLE_ETAG", "etag"},
	{"BUNDLE_COMMIT", "commit"},
}

func (w *work) groupName() string {
	if w.job.GroupName != "" {
		return w.job.GroupName
	}
	return w.job.Group
}

// merge joins environments; of two settings of one name the later one counts.
func merge(lists ...[]string) []string {
	all := slices.Concat(lists...)
	at := map[string]int{}
	var out []string
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		if i, again := at[name]; again {
			out[i] = v
			continue
		}
		at[name] = len(out)
		out = append(out, v)
	}
	return out
}

// value is a variable of an environment without doubles; empty: not set.
func value(env []string, name string) string {
	for _, v := range env {
		if text, ok := strings.CutPrefix(v, name+"="); ok {
			return text
		}
	}
	return ""
}
