package agent

import (
	"path/filepath"
	"runtime"

	"golang.org/x/sys/windows"
)

// folders are variables that differ by machine and account.
var folders = []struct {
	name string
	id   *windows.KNOWNFOLDERID
}{
	{"ProgramFiles", windows.FOLDERID_ProgramFiles},
	{"ProgramData", windows.FOLDERID_ProgramData},
	{"ALLUSERSPROFILE", windows.FOLDERID_ProgramData},
	{"PUBLIC", windows.FOLDERID_Public},
	{"USERPROFILE", windows.FOLDERID_Profile},
	{"APPDATA", windows.FOLDERID_RoamingAppData},
	{"LOCALAPPDATA", windows.FOLDERID_LocalAppData},
}

// systemEnv is what the system itself says of where things are.
func systemEnv() []string {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		system = `C:\Windows\System32`
	}
	env := windowsEnv(filepath.Dir(system), runtime.GOARCH)
	for _, f := range folders {
		if dir, err := windows.KnownFolderPath(f.id, windows.KF_FLAG_DEFAULT); err == nil {
			env = append(env, f.name+"="+dir)
		}
	}
	return env
}
