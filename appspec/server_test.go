package appspec

import (
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Rows Y21 to Y42 of the catalogue of bad inputs: the content for servers.

func TestY21_Version(t *testing.T) {
	for _, v := range []string{"1.0", "1", "0.0.0", "~", "", "false", ".nan", ".inf", "[0.0]", "{a: 0.0}", ".e+5", "|\n  0.0"} {
		p := refused(t, "version: "+v+"\nos: linux\n", ErrVersion)
		require.Equal(t, "the number 0.0", p.Allowed, v)
	}
	refused(t, "os: linux\n", ErrVersion)
	// The catalogue would take the quoted form with a note. The agent refuses it.
	for _, v := range []string{`"0.0"`, `'0.0'`, "!!str 0.0"} {
		p := refused(t, "version: "+v+"\nos: linux\n", ErrVersion)
		require.Contains(t, p.Hint, "remove the quotes")
	}
	clean(t, head)
	for _, v := range []string{"0", "-0.0", "+0.0", "0.000", ".0", "0.", "0x0", "00", "0b0", "0_0", "0:00", "0.0e+5", "0,0"} {
		warned(t, "version: "+v+"\nos: linux\n", ErrVersion)
	}
}

func TestY22_OS(t *testing.T) {
	for text, near := range map[string]string{"Linux": "linux", "linus": "linux", "LINUX": "linux", "macos": "",
		"\"windows \"": "windows", "ubuntu": "", "yes": "", "[linux]": "", "": "", ":linux": "linux"} {
		p := refused(t, "version: 0.0\nos: "+text+"\n", ErrOS)
		require.Equal(t, near, p.Nearest, text)
		require.Equal(t, "linux or windows", p.Allowed)
	}
	refused(t, "version: 0.0\n", ErrOS)
	_, errs, _ := check(t, head, Options{OS: "windows"})
	with(t, errs, ErrOSMismatch)
	spec, _, _ := check(t, head, Options{OS: "linux"})
	require.Equal(t, "linux", spec.OS)
	require.Equal(t, "windows", clean(t, "version: 0.0\nos: windows\n").OS)
}

func TestY23_FilesOfTheWrongShape(t *testing.T) {
	p := refused(t, head+"files:\n  source: a\n  destination: /b\n", ErrType)
	require.Equal(t, [2]int{4, 3}, [2]int{p.Line, p.Col})
	require.Contains(t, p.Hint, "dash")
	for _, entry := range []string{"a word", "~", "12", "[a, /b]"} {
		p := refused(t, head+"files:\n  - "+entry+"\n", ErrType)
		require.Equal(t, "files[0]", p.Path)
	}
	for _, v := range []string{"everything", "7"} {
		refused(t, head+"files: "+v+"\n", ErrType)
	}
	for _, v := range []string{"", "~", "[]"} {
		require.Empty(t, clean(t, head+"files: "+v+"\n").Files)
	}
	warned(t, head+"files: false\n", ErrType)
	warned(t, head+"files: {}\n", ErrType)
}

func TestY24_SourceOrDestinationMissing(t *testing.T) {
	refused(t, head+"files:\n  - destination: /b\n", ErrMissingField)
	refused(t, head+"files:\n  - source: a\n", ErrMissingField)
	_, errs, _ := check(t, head+"files:\n  - source:\n    destination: ~\n", Options{})
	require.Len(t, errs, 2)
	require.Equal(t, "files[0].source", errs[0].Path)
	require.Equal(t, "files[0].destination", errs[1].Path)
	for _, v := range []string{"2024", "yes", "[a]", "{a: b}", "1.5"} {
		refused(t, head+"files:\n  - {source: "+v+", destination: /b}\n", ErrType)
	}
}

func TestY25_SourceClimbsOut(t *testing.T) {
	for _, s := range []string{"../x", "a/../../x", "/../x", "..", "./../x"} {
		require.Equal(t, "files[0].source", refused(t, head+"files:\n  - {source: "+s+", destination: /b}\n", ErrPathEscapes).Path)
	}
	for _, s := range []string{"/", "/build/", "a/../b", "./a", ".", "..a/b"} {
		clean(t, head+"files:\n  - {source: "+s+", destination: /b}\n")
	}
	refused(t, "version: 0.0\nos: windows\nfiles:\n  - {source: '..\\x', destination: 'c:\\b'}\n", ErrPathEscapes)
	clean(t, head+"files:\n  - {source: '..\\x', destination: /b}\n") // a plain name on Linux
	_, p := warned(t, head+"files:\n  - {source: 'build/*', destination: /b}\n", ErrBadPath)
	require.Contains(t, p.Why, "wildcards")
}

func TestY27_Destination(t *testing.T) {
	for dest, why := range map[string]string{"out/here": "relative", "~/app": "not expanded", "''": "empty",
		`"/a\nb"`: "control", `"/a\eb"`: "control"} {
		_, p := warned(t, head+"files:\n  - source: a\n    destination: "+dest+"\n", ErrBadPath)
		require.Contains(t, p.Why, why)
	}
	refused(t, head+"files:\n  - source: a\n    destination: \"/a\\0b\"\n", ErrBadPath)
	for _, dest := range []string{`'c:\web'`, `'C:/web'`, `'\\server\share'`, `'\web'`} {
		clean(t, "version: 0.0\nos: windows\nfiles:\n  - source: a\n    destination: "+dest+"\n")
	}
}

func TestY28_SystemDirectoryAsDestination(t *testing.T) {
	for _, dest := range []string{"/", "/etc", "/etc/", "/usr/bin", "/proc/1", "/dev", "/opt/../etc"} {
		warned(t, head+"files:\n  - source: a\n    destination: "+dest+"\n", ErrProtectedDestination)
	}
	clean(t, head+"files:\n  - source: a\n    destination: /etc/systemd/system\n")
}

func TestY29_SameEntryTwice(t *testing.T) {
	_, p := warned(t, head+"files:\n  - {source: a, destination: /b}\n  - {source: a, destination: /b}\n", ErrDuplicateDestination)
	require.Contains(t, p.Why, "line 4")
	clean(t, head+"files:\n  - {source: a, destination: /b}\n  - {source: c, destination: /b}\n")
}

func TestY30_ProtectedByTheCaller(t *testing.T) {
	opt := Options{Protected: []string{"/var/lib/agent/"}}
	for dest, bad := range map[string]bool{"/var/lib/agent": true, "/var/lib/agent/x": true, "/var/lib/agents": false} {
		_, errs, _ := check(t, head+"files:\n  - source: a\n    destination: "+dest+"\n", opt)
		require.Equal(t, bad, len(errs) == 1, dest)
	}
}

func TestY31_FileExistsBehavior(t *testing.T) {
	for v, near := range map[string]string{"overwrite": "OVERWRITE", "Retain": "RETAIN", "REPLACE": "", "''": "",
		"false": "", "[RETAIN]": "", "'RETAIN '": "RETAIN", "DISALLOW|OVERWRITE|RETAIN": ""} {
		p := refused(t, head+"file_exists_behavior: "+v+"\n", ErrEnum)
		require.Equal(t, near, p.Nearest, v)
		require.Equal(t, "DISALLOW, OVERWRITE or RETAIN", p.Allowed)
	}
	require.Equal(t, Retain, clean(t, head+"file_exists_behavior: 'RETAIN'\n").FileExists)
	require.Empty(t, clean(t, head+"file_exists_behavior:\n").FileExists)
}

func TestY32_HooksOfTheWrongShape(t *testing.T) {
	for _, v := range []string{"[]", "[{AfterInstall: a}]", "AfterInstall", "5"} {
		refused(t, head+"hooks: "+v+"\n", ErrType)
	}
	for _, v := range []string{"a.sh", "{location: a.sh}", "5", "[a.sh]", "[~]", "[[location, a]]"} {
		refused(t, head+"hooks:\n  AfterInstall: "+v+"\n", ErrType)
	}
	require.Nil(t, clean(t, head+"hooks:\n").Hooks)
	require.Nil(t, clean(t, head+"hooks:\n  AfterInstall:\n").Hooks)
	spec := clean(t, head+"hooks:\n  AfterInstall: []\n")
	require.Len(t, spec.Hooks, 1)
	require.Empty(t, spec.Hooks[0].Scripts)
}

func hook(event, script string) string {
	return head + "hooks:\n  " + event + ":\n    - {" + script + "}\n"
}

func TestY33_UnknownEvent(t *testing.T) {
	for event, near := range map[string]string{"ApplicattionStop": "ApplicationStop", "Before Install": "BeforeInstall",
		"beforeinstall": "BeforeInstall", "Validate": "ValidateService", "WhenTheMoonIsFull": "", "42": ""} {
		spec, p := warned(t, hook(event, "location: a"), ErrUnknownEvent)
		require.Equal(t, near, p.Nearest, event)
		require.Len(t, spec.Scripts(spec.Hooks[0].Event), 1) // kept: a custom event is legal
	}
}

func TestY34_EventsThatTakeNoScripts(t *testing.T) {
	for _, event := range []string{"Install", "DownloadBundle", "BlockTraffic", "AllowTraffic", "AfterAllowTestTraffic", "Start", "End"} {
		_, p := warned(t, hook(event, "location: a"), ErrEventNotScriptable)
		require.NotEmpty(t, p.Hint)
	}
}

func TestY35_Location(t *testing.T) {
	for _, s := range []string{"timeout: 5", "location:", "location: ''", "location: '  '"} {
		refused(t, hook("AfterInstall", s), ErrMissingField)
	}
	for _, s := range []string{"../x.sh", "a/../../x", "/.."} {
		refused(t, hook("AfterInstall", "location: "+s), ErrPathEscapes)
	}
	refused(t, hook("AfterInstall", "location: [a.sh]"), ErrType)
	refused(t, hook("AfterInstall", `location: "a\0b"`), ErrBadPath)
	warned(t, hook("AfterInstall", "location: a/"), ErrBadPath)
	for in, want := range map[string]string{"5": "5", "false": "false", "yes": "true", "1_000": "1000", "1.50": "1.5"} {
		spec, _ := warned(t, hook("AfterInstall", "location: "+in), ErrType)
		require.Equal(t, want, spec.Hooks[0].Scripts[0].Location)
	}
	spec, _ := warned(t, head+"hooks:\n  AfterInstall:\n    - location: :a\n", ErrType)
	require.Equal(t, "a", spec.Hooks[0].Scripts[0].Location)
	refused(t, head+"hooks:\n  AfterInstall:\n    - location: a\n      timeout: :5\n", ErrTimeout)
	for in, want := range map[string]string{"'  ops/a.sh  '": "ops/a.sh", "/usr/bin/true": "/usr/bin/true", "./a.sh": "./a.sh"} {
		require.Equal(t, want, clean(t, hook("AfterInstall", "location: "+in)).Hooks[0].Scripts[0].Location)
	}
}

func TestY36_LocationWithShellCharacters(t *testing.T) {
	spec := clean(t, hook("AfterInstall", "location: 'a b; rm -rf $(x) & .sh'"))
	require.Equal(t, "a b; rm -rf $(x) & .sh", spec.Hooks[0].Scripts[0].Location)
}

func TestY36_CommandLineAsLocation(t *testing.T) {
	for _, location := range []string{"node ./index.js", "ops/stop.sh now", "pm2 start shop", "stop.BAT"} {
		spec, errs, warnings := check(t, hook("AfterInstall", "timeout: 5, location: '"+location+"'"), Options{})
		require.Empty(t, errs)
		require.Equal(t, location, spec.Hooks[0].Scripts[0].Location)
		require.Equal(t, strings.Contains(location, " "), len(warnings) == 1, lines(warnings))
	}
}

func TestY37_Timeout(t *testing.T) {
	for _, v := range []string{"0", "-5", "0.9", "soon", "''", "-0", "00", "true", "yes", "[5]", "{s: 5}", ".inf", ".nan",
		"999999999999999999999999", "'999999999999999999999999'", "1.0e+30", "-1:30", "9999999999999", "<timeout>"} {
		p := refused(t, hook("AfterInstall", "location: a, timeout: "+v), ErrTimeout)
		require.Equal(t, "a whole number of seconds above 0", p.Allowed)
	}
	for v, want := range map[string]int{"2.9": 2, "300s": 300, "010": 8, "0x1F": 31, "1:30": 5400, "'1,200'": 1, "1_200": 1200,
		"1.5e+3": 1500, "1e3": 1, "+30": 30, "'0x20'": 0, "'1_0'": 10, "0b101": 5, "089": 89, "1:30:00": 5400, "false": 3600} {
		text := hook("AfterInstall", "location: a, timeout: "+v)
		if want == 0 {
			refused(t, text, ErrTimeout)
			continue
		}
		spec, _ := warned(t, text, ErrTimeout)
		require.Equal(t, time.Duration(want)*time.Second, spec.Hooks[0].Scripts[0].Timeout, v)
	}
	for v, want := range map[string]int{"1": 1, "3600": 3600, `"25"`: 25, "' 25 '": 25, "~": 3600, "": 3600} {
		require.Equal(t, time.Duration(want)*time.Second,
			clean(t, hook("AfterInstall", "location: a, timeout: "+v)).Hooks[0].Scripts[0].Timeout)
	}
	require.Equal(t, DefaultTimeout, clean(t, hook("AfterInstall", "location: a")).Hooks[0].Scripts[0].Timeout)
	spec, _ := warned(t, hook("AfterInstall", "location: a, timeout: 9223372036"), ErrEventTimeoutSum)
	require.Equal(t, time.Duration(math.MaxInt64).Truncate(time.Second), spec.Hooks[0].Scripts[0].Timeout)
}

func TestY38_SumOfTimeouts(t *testing.T) {
	_, p := warned(t, head+"hooks:\n  AfterInstall:\n    - {location: a, timeout: 10}\n    - {location: b}\n", ErrEventTimeoutSum)
	require.Contains(t, p.Why, "3610 seconds")
	require.Equal(t, "hooks.AfterInstall", p.Path)
	clean(t, head+"hooks:\n  AfterInstall:\n    - {location: a, timeout: 1800}\n    - {location: b, timeout: 1800}\n")
	warned(t, head+"hooks:\n  AfterInstall: ["+strings.Repeat("{location: a, timeout: 9223372036},", 3)+"]\n", ErrEventTimeoutSum)
}

// D21 is the same check: the numbers are known before any host is touched, and
// under Strict they stop the deployment.
func TestD21_SumOfTimeouts(t *testing.T) {
	_, errs, _ := check(t, hook("AfterInstall", "location: a, timeout: 3601"), Options{Strict: true})
	require.Contains(t, with(t, errs, ErrEventTimeoutSum).Allowed, "3600")
}

func TestY39_RunAs(t *testing.T) {
	for _, v := range []string{"a b", "a:b", "-x", `"a\nb"`, "'root;id'", "a/b", "'$(id)'", "'a|b'"} {
		refused(t, hook("AfterInstall", "location: a, runas: "+v), ErrRunAs)
	}
	spec, _ := warned(t, hook("AfterInstall", "location: a, runas: ''"), ErrRunAs)
	require.Equal(t, "", *spec.Hooks[0].Scripts[0].RunAs)
	spec, _ = warned(t, hook("AfterInstall", "location: a, runas: 1000"), ErrType)
	require.Equal(t, "1000", *spec.Hooks[0].Scripts[0].RunAs)
	for in, want := range map[string]string{"'  app '": "app", "www-data": "www-data", `'CORP\joe'`: `CORP\joe`, "svc.x@corp": "svc.x@corp", "machine$": "machine$"} {
		require.Equal(t, want, *clean(t, hook("AfterInstall", "location: a, runas: "+in)).Hooks[0].Scripts[0].RunAs)
	}
	require.Nil(t, clean(t, hook("AfterInstall", "location: a, runas: ~")).Hooks[0].Scripts[0].RunAs)
}

func TestY40_RunAsRootForbidden(t *testing.T) {
	for _, v := range []string{"runas: root", "runas: ''", "sudo: true"} {
		_, errs, _ := check(t, hook("AfterInstall", "location: a, "+v), Options{ForbidRoot: true})
		with(t, errs, ErrRunAsDenied)
	}
	_, errs, _ := check(t, hook("AfterInstall", "location: a, runas: app"), Options{ForbidRoot: true})
	require.Empty(t, errs)
}

func TestY41_Sudo(t *testing.T) {
	for v, set := range map[string]bool{"true": true, "yes": true, "false": false, "no": false, "~": false} {
		require.Equal(t, set, clean(t, hook("AfterInstall", "location: a, sudo: "+v)).Hooks[0].Scripts[0].Sudo)
	}
	for _, v := range []string{"'no'", "1", "[]"} {
		spec, _ := warned(t, hook("AfterInstall", "location: a, sudo: "+v), ErrType)
		require.True(t, spec.Hooks[0].Scripts[0].Sudo)
	}
	warned(t, hook("AfterInstall", "location: a, sudo: true, runas: app"), ErrSudo)
}

func TestY42_RunAsOnWindows(t *testing.T) {
	warned(t, strings.Replace(hook("AfterInstall", "location: a, runas: root"), "linux", "windows", 1), ErrNotSupportedOnOS)
}

// Rows P1 to P12: permissions.

const installed = head + "files:\n  - {source: a, destination: /srv}\npermissions:\n"

func perm(fields string) string { return installed + "  - {object: /srv/x, " + fields + "}\n" }

func TestP1_Object(t *testing.T) {
	for _, v := range []string{"mode: 644", "object:", "object: '  '"} {
		refused(t, installed+"  - {"+v+"}\n", ErrMissingField)
	}
	refused(t, installed+"  - {object: [a]}\n", ErrType)
	warned(t, installed+"  - {object: srv/x}\n", ErrBadPath)
	warned(t, installed+"  - {object: /opt/x}\n", ErrObjectNotManaged)
	for _, v := range []string{"/srv", "/srv/", "/srv/a/b", "/", "' /srv/x '"} {
		clean(t, installed+"  - {object: "+v+"}\n")
	}
	refused(t, head+"permissions: all\n", ErrType)
	refused(t, head+"permissions:\n  - /x\n", ErrType)
	spec := clean(t, installed+"  - {object: ' /srv/x '}\n")
	require.Equal(t, Permission{Object: "/srv/x", Pattern: "**", Types: []ObjectType{TypeFile, TypeDirectory}, Pos: Pos{6, 5}},
		spec.Permissions[0])
}

func TestP2_ModeFromItsText(t *testing.T) {
	for _, v := range []string{"644", `"0644"`, "'644'"} {
		require.Equal(t, fs.FileMode(0o644), *clean(t, perm("mode: "+v)).Permissions[0].Mode)
	}
	for v, misread := range map[string]string{"0644": "420", "0755": "493", "00644": "420"} {
		spec, p := warned(t, perm("mode: "+v), ErrMode)
		require.Contains(t, p.Why, misread)
		require.Equal(t, v[len(v)-4:], spec.Permissions[0].ModeText)
	}
	for v, want := range map[string]string{"7": "007", "60": "060", "0": "000", "'07'": "007"} {
		require.Equal(t, want, clean(t, perm("mode: "+v)).Permissions[0].ModeText)
	}
	require.Nil(t, clean(t, perm("mode: ")).Permissions[0].Mode)
}

func TestP3_BadMode(t *testing.T) {
	for _, v := range []string{"888", "-1", "77777", "rw-r--r--", "08", "0o644", "6.4", "true", "[644]", "'64 '", "０644", "0x1a4", "7:55", "'04755'"} {
		require.Equal(t, "3 or 4 octal digits", refused(t, perm("mode: "+v), ErrMode).Allowed)
	}
}

func TestP4_SpecialBits(t *testing.T) {
	for v, want := range map[string]fs.FileMode{"4755": fs.ModeSetuid | 0o755, "2755": fs.ModeSetgid | 0o755,
		"'1777'": fs.ModeSticky | 0o777, "04755": fs.ModeSetuid | 0o755} {
		spec, _ := warned(t, perm("mode: "+v), ErrSetuid)
		require.Equal(t, want, *spec.Permissions[0].Mode)
	}
}

// The catalogue would take a single word as a list of one. The agent refuses it.
func TestP5_Type(t *testing.T) {
	require.Contains(t, refused(t, perm("type: file"), ErrType).Hint, "[file]")
	require.Contains(t, refused(t, perm("except: x"), ErrType).Hint, "[x]")
	require.Equal(t, "file", refused(t, perm("type: [File]"), ErrEnum).Nearest)
	for _, v := range []string{"[~]", "[socket]", "[1]"} {
		refused(t, perm("type: "+v), ErrEnum)
	}
	warned(t, perm("type: []"), ErrEnum)
	require.Equal(t, []ObjectType{TypeDirectory}, clean(t, perm("type: [directory]")).Permissions[0].Types)
	require.Len(t, clean(t, perm("type: ")).Permissions[0].Types, 2)
}

func TestP6_Pattern(t *testing.T) {
	for _, v := range []string{"pattern: a/*.x", "pattern: '[ab]'", "pattern: 'a?'", "pattern: ..", "pattern: ''", "except: [a/b]"} {
		warned(t, perm(v), ErrPattern)
	}
	refused(t, perm("pattern: *.txt"), ErrSyntax)
	refused(t, perm("except: [~]"), ErrType)
	warned(t, perm("pattern: 7"), ErrType)
	clean(t, perm("pattern: '*.x', except: ['a*']"))
}

func TestP7_TwoEntriesForOneObject(t *testing.T) {
	_, p := warned(t, perm("mode: 644")+"  - {object: /srv/x/, owner: root}\n", ErrDuplicatePermission)
	require.Contains(t, p.Why, "line 6")
	clean(t, perm("type: [file]")+"  - {object: /srv/x, type: [directory]}\n")
	clean(t, perm("pattern: '*.a'")+"  - {object: /srv/x, pattern: '*.b'}\n")
}

func TestP8_Owner(t *testing.T) {
	for _, v := range []string{"owner: ''", `owner: "a\nb"`, "group: 'a:b'", "group: ' '"} {
		refused(t, perm(v), ErrUnknownOwner)
	}
	refused(t, perm("owner: [a]"), ErrType)
	refused(t, perm("owner: true"), ErrType)
	spec, _ := warned(t, perm("owner: 33, group: 33"), ErrUnknownOwner)
	require.Equal(t, "33", spec.Permissions[0].Owner)
	clean(t, perm("owner: no-such-person, group: 'domain users'")) // only the host can tell
}

func TestP9_ACL(t *testing.T) {
	for in, want := range map[string]string{"u:app:rwx": "user:app:rwx", "app:rx": "user:app:r-x", "g:app:r": "group:app:r--",
		"m::rx": "mask::r-x", "mask:rx": "mask::r-x", "u:app:5": "user:app:r-x", "u:app:": "user:app:---",
		"u:app:rrr": "user:app:r--", "g:m:r": "group:mask:r--", "u:other:w": "user:other:-w-"} {
		require.Equal(t, want, clean(t, perm("acls: ['"+in+"']")).Permissions[0].ACLs[0].String())
	}
	for _, v := range []string{"rwx", "d:u:a:b:r", "z:app:r", "m:app:r", "d:d:app:r", "x:u:app:r", "u::rwx", "g::r", "o::r", "o:r",
		"u:app:8", "u:app:77", "u:app:rwX", "", ":", "::", "d:d:u:r"} {
		require.Equal(t, quote(v), refused(t, perm("acls: ['"+v+"']"), ErrACL).Found)
	}
	for _, v := range []string{"u:app:r", "5", "{u: app}", "[5]", "[{u: app}]", "[~]", "false"} {
		refused(t, perm("acls: "+v), ErrType)
	}
}

func TestP10_DefaultACLOnFile(t *testing.T) {
	for in, want := range map[string]string{"d:u:app:rwx": "default:user:app:rwx", "default:app:rwx": "default:user:app:rwx",
		"d:u::rwx": "default:user::rwx", "d:o::r": "default:other::r--", "d:m::rwx": "default:mask::rwx", "d:m:7": "default:mask::rwx"} {
		require.Equal(t, want, clean(t, perm("type: [directory], acls: ['"+in+"']")).Permissions[0].ACLs[0].String())
		warned(t, perm("type: [file], acls: ['"+in+"']"), ErrACLDefaultOnFile)
		warned(t, perm("acls: ['"+in+"']"), ErrACLDefaultOnFile)
	}
}

func TestP11_SELinuxContext(t *testing.T) {
	for in, want := range map[string]string{"s0": "s0", "s0-s3": "s0-s3", "s2-s2": "s2", "s0:c5": "s0:c5", "s0:c9,c1": "s0:c1,c9",
		"s0:c0.c3": "s0:c0.c3", "s0:c1,c2,c3,c7": "s0:c1.c3,c7", "s0:c1023": "s0:c1023", "s0:c1,": "s0:c1", "s00-s01:c07": "s0-s1:c7",
		"s99999999999999999999-s99999999999999999999": "s99999999999999999999", "s0:c0.c1023": "s0:c0.c1023"} {
		spec := clean(t, perm("context: {type: t, name: system_u, range: '"+in+"'}"))
		require.Equal(t, &Context{User: "system_u", Type: "t", Range: want}, spec.Permissions[0].Context)
	}
	for _, v := range []string{"s3-s0", "s0:c1024", "s0:c1,c1", "s0:c1.c5,c3", "s0:c5.c1", "s0:", ":c1", "s", "S0", "sx", "s0-", "s0-s1-s2",
		"", "s0:c1,,c2", "s0:c1.", "s0:.c1", "s0:c", "s0:c1.c2.c3", "s10-s9", "c1", "-s1"} {
		refused(t, perm("context: {type: t, range: '"+v+"'}"), ErrContext)
	}
	refused(t, perm("context: {name: system_u, range: s0}"), ErrContext)
	refused(t, perm("context: {type: t, range: 0}"), ErrType)
	refused(t, perm("context: httpd_t"), ErrType)
	refused(t, perm("context: [httpd_t]"), ErrType)
	for _, v := range []string{"role: object_r, range: s0", "user: system_u, range: s0", "name: x", "name: '', range:"} {
		warned(t, perm("context: {type: t, "+v+"}"), ErrContext)
	}
}

func TestP12_PermissionsOnWindows(t *testing.T) {
	windows := strings.Replace(head, "linux", "windows", 1)
	refused(t, windows+"permissions:\n  - {object: 'C:\\app', mode: 644}\n", ErrNotSupportedOnOS)
	clean(t, windows+"permissions: []\n")
}

// One mistake is reported once: what follows from it is not.
func TestEntryOfAnotherSection(t *testing.T) {
	text := head + "files:\n  - source: a\n    destination: /b\n  - object: /b\n    owner: web\n    mode: 755\n"
	p := refused(t, text, ErrIndentation)
	require.Equal(t, [2]int{6, 5}, [2]int{p.Line, p.Col})
	require.Contains(t, p.Why, "permissions")
	_, errs, warnings := check(t, text, Options{})
	require.Len(t, append(errs, warnings...), 1)
	refused(t, head+"permissions:\n  - location: a\n", ErrIndentation)
}

func TestRefusedFilesSayNothingOfPermissions(t *testing.T) {
	for _, files := range []string{"files: {source: a, destination: /b}\n", "files: [a]\n", "files: [{source: a, destination: /c}, b]\n"} {
		_, errs, warnings := check(t, head+files+"permissions: [{object: /b}]\n", Options{})
		with(t, errs, ErrType)
		require.Empty(t, warnings)
	}
	require.Equal(t, "write it as - source: site", refused(t, head+"files: [site]\n", ErrType).Hint)
}

func TestRefusedTimeoutIsNotAdded(t *testing.T) {
	_, errs, warnings := check(t, head+"hooks:\n  AfterInstall:\n    - {location: a, timeout: soon}\n    - {location: b, timeout: 5}\n", Options{})
	with(t, errs, ErrTimeout)
	require.Empty(t, warnings)
}

func TestVariableWithoutQuotes(t *testing.T) {
	p := refused(t, head+"files:\n  - source: {{ APP }}\n    destination: /b\n", ErrType)
	require.Equal(t, `"{{APP}}"`, p.Found)
	require.Contains(t, p.Hint, "template")
}
