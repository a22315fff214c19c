//go:build linux

package install

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/cutover-deploy/cutover/appspec"
)

func needRoot(t *testing.T, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED " + what + ": needs root")
	}
}

// tmpfs mounts a small file system at the root's dir.
func (w *world) tmpfs(dir, options string) string {
	w.t.Helper()
	at := w.path(dir)
	require.NoError(w.t, os.MkdirAll(at, 0o755))
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "mode=755,"+options); err != nil {
		w.t.Skip("SKIPPED a full or foreign file system: cannot mount a tmpfs: " + err.Error())
	}
	w.t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

func TestE3_DiskTooSmall(t *testing.T) {
	needRoot(t, "a disk that is too small")
	w := newWorld(t)
	w.tmpfs("srv", "size=1m")
	w.deploy(files{"app/a": "old"})
	ps := w.refused(files{"app/a": "new", "app/big": strings.Repeat("x", 1<<20)})
	require.Equal(t, []Code{NoSpace}, codes(ps))
	require.Regexp(t, `need \d+ KiB, free \d+ KiB`, ps[0].Text)
}

func TestE3_DiskFillsUpWhileStaging(t *testing.T) {
	needRoot(t, "a disk that fills up")
	w := newWorld(t)
	at := w.tmpfs("srv", "size=2m")
	w.deploy(files{"app/a": "old", "app/b": "old"})
	before := snapshot(t, w.root)
	big := strings.Repeat("x", 300<<10)
	r := w.request(files{"app/a": big, "app/b": big, "app/c": big})
	r.seam = func(effect string) error {
		if strings.HasPrefix(effect, "stage file") {
			_ = os.WriteFile(filepath.Join(at, "filler"), make([]byte, 4<<20), 0o600)
		}
		return nil
	}
	_, err := w.try(r)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Contains(t, err.Error(), "the disk is full (need 300 KiB, free ")
	require.Contains(t, err.Error(), "everything was put back")
	require.NoError(t, os.Remove(filepath.Join(at, "filler")))
	require.Equal(t, before, snapshot(t, w.root))
	noLeftovers(t, w)
}

func noLeftovers(t *testing.T, w *world) {
	t.Helper()
	for _, p := range w.tree() {
		require.NotContains(t, p, tempPrefix)
	}
}

// Second names take inodes on a tmpfs: they run out in the middle of the commit.
func TestE4_DiskFullDuringCommit(t *testing.T) {
	needRoot(t, "a disk that is full during the commit")
	w := newWorld(t)
	at := w.tmpfs("srv", "nr_inodes=200")
	f := files{}
	for i := range 20 {
		f[fmt.Sprintf("app/f%02d", i)] = "old"
	}
	w.deploy(f)
	before := snapshot(t, w.root)
	for k := range f {
		f[k] = "new"
	}
	places := 0
	fill := func(effect string) error {
		if strings.HasPrefix(effect, "place") {
			if places++; places == 10 {
				for i := 0; ; i++ {
					if os.WriteFile(filepath.Join(at, fmt.Sprintf("filler%03d", i)), []byte("x"), 0o600) != nil {
						break
					}
				}
				return syscall.ENOSPC
			}
		}
		return nil
	}
	_, err := w.try(w.request(f, func(r *Request) { r.seam = fill }))
	require.ErrorIs(t, err, syscall.ENOSPC)
	fillers, _ := filepath.Glob(filepath.Join(at, "filler*"))
	require.NotEmpty(t, fillers)
	for _, p := range fillers {
		require.NoError(t, os.Remove(p))
	}
	require.Equal(t, before, snapshot(t, w.root))

	// Without names to spare at all the old way round is taken: out, then in.
	places = 9
	_, err = w.try(w.request(f, func(r *Request) { r.seam = func(e string) error { _ = fill(e); return nil } }))
	require.NoError(t, err)
	require.Equal(t, "new", w.read("srv/f19"))
}

func TestE9_RunningProgramIsReplaced(t *testing.T) {
	w := newWorld(t)
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	b, err := os.ReadFile(sleep)
	require.NoError(t, err)
	deploy := func(content string) {
		r := w.request(files{"app/prog": content})
		require.NoError(t, os.Chmod(filepath.Join(r.Bundle, "app/prog"), 0o755))
		_, err := w.try(r)
		require.NoError(t, err)
	}
	deploy(string(b))
	cmd := exec.Command(w.path("srv/prog"), "60")
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	link := fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid)
	old, err := os.ReadFile(link)
	require.NoError(t, err)
	deploy("#!/bin/sh\n")
	require.Equal(t, "#!/bin/sh\n", w.read("srv/prog"))
	now, err := os.ReadFile(link)
	require.NoError(t, err)
	require.Equal(t, old, now, "the running program keeps its file")
}

// Readers see the old file or the new one, whole, at every moment.
func TestE9_ReadersNeverMissAFile(t *testing.T) {
	w := newWorld(t)
	w.deploy(files{"app/a": "1"})
	stop := make(chan struct{})
	bad := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if b, err := os.ReadFile(w.path("srv/a")); err != nil || len(b) != 1 {
				select {
				case bad <- fmt.Sprint(string(b), err):
				default:
				}
			}
		}
	}()
	for i := range 30 {
		w.deploy(files{"app/a": fmt.Sprint(i % 10)})
	}
	close(stop)
	<-done
	require.Empty(t, bad)
}

func TestE10_DestinationOnOtherFileSystems(t *testing.T) {
	needRoot(t, "destinations on other file systems")
	w := newWorld(t)
	w.tmpfs("srv/one", "size=1m")
	w.tmpfs("srv/two", "size=1m")
	w.write("srv/one/taken", "foreign")
	f := files{"app/one/a": "1", "app/one/taken": "1", "app/two/deep/er/b": "1", "app/c": "1"}
	w.deploy(f, overwrite)
	require.Equal(t, "1", w.read("srv/two/deep/er/b"))
	f["app/one/a"] = "2"
	w.deploy(f)
	w.deploy(files{"app/c": "3"})
	require.Equal(t, []string{"srv", "srv/c", "srv/one", "srv/one/taken", "srv/two"}, w.tree())
	require.Equal(t, "foreign", w.read("srv/one/taken"))
}

func TestE10_FileThatIsAMountPoint(t *testing.T) {
	needRoot(t, "a file that is a mount point")
	w := newWorld(t)
	other := w.tmpfs("other", "size=1m")
	writeFile(t, filepath.Join(other, "f"), "f")
	w.write("srv/a", "under")
	if err := unix.Mount(filepath.Join(other, "f"), w.path("srv/a"), "", unix.MS_BIND, ""); err != nil {
		t.Skip("SKIPPED a file that is a mount point: cannot bind: " + err.Error())
	}
	t.Cleanup(func() { _ = unix.Unmount(w.path("srv/a"), unix.MNT_DETACH) })
	require.Equal(t, []Code{CrossDevice}, codes(w.refused(files{"app/a": "1"}, overwrite)))
}

func TestE11_ReadOnlyFileSystem(t *testing.T) {
	needRoot(t, "a read-only file system")
	w := newWorld(t)
	at := w.tmpfs("srv", "size=1m")
	require.NoError(t, unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	ps := w.refused(files{"app/a": "1"})
	require.Equal(t, []Code{ReadOnly}, codes(ps))
	require.Contains(t, ps[0].Text, w.path("srv"))
}

func TestE11_ImmutableFile(t *testing.T) {
	needRoot(t, "immutable files")
	w := newWorld(t)
	w.deploy(files{"app/a": "1", "app/b": "1", "app/d/x": "1"})
	w.write("srv/d/keep", "k")
	for _, p := range []string{"srv/a", "srv/d"} {
		chattr(t, "+i", w.path(p))
	}
	ps := w.refused(files{"app/a": "2", "app/b": "2"})
	require.Equal(t, []Code{ReadOnly, ReadOnly}, codes(ps))
	require.Contains(t, ps[0].Text+ps[1].Text, w.path("srv/a")+" is immutable (chattr +i)")
	require.Contains(t, ps[0].Text+ps[1].Text, w.path("srv/d")+" is immutable")
}

func chattr(t *testing.T, how, path string) {
	t.Helper()
	if out, err := exec.Command("chattr", how, path).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED immutable files: chattr: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("chattr", "-i", path).Run() })
}

func TestE11_DirectoryOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(w.path("srv"), 0o555))
	if os.Geteuid() == 0 { // root may write anywhere: case existing-read-only-directory
		w.deploy(files{"app/a": "1"})
		require.Equal(t, []string{"srv", "srv/a"}, w.tree())
		return
	}
	require.Equal(t, []Code{ReadOnly}, codes(w.refused(files{"app/a": "1"})))
}

func permissions(pm ...appspec.Permission) func(*Request) {
	return func(r *Request) {
		for i := range pm {
			pm[i].Pos = appspec.Pos{Line: 20 + i}
			if pm[i].Pattern == "" {
				pm[i].Pattern = "**"
			}
			if pm[i].Types == nil {
				pm[i].Types = []appspec.ObjectType{appspec.TypeFile, appspec.TypeDirectory}
			}
		}
		r.Spec.Permissions = pm
	}
}

func mode(m fs.FileMode) *fs.FileMode { return &m }

func TestE12_P8_UnknownOwner(t *testing.T) {
	w := newWorld(t)
	for _, bad := range []string{"no-such-account", "a b", "-1", "99999999999", "x\ny", "x:y"} {
		ps := w.refused(files{"app/a": "1", "app/b": "1"}, permissions(appspec.Permission{Object: "/srv", Owner: bad, Group: bad}))
		require.Equal(t, []Code{UnknownOwner, UnknownOwner}, codes(ps), bad)
	}
	ps := w.refused(files{"app/a": "1"}, permissions(appspec.Permission{Object: "/srv/a", ACLs: []appspec.ACLEntry{{Type: "user", Name: "no-such-account", Perms: 4}}}))
	require.Equal(t, []Code{UnknownOwner}, codes(ps))
}

func TestPermissions_OwnerModeAndSetID(t *testing.T) {
	needRoot(t, "giving files away")
	w := newWorld(t)
	w.write("outside", "o")
	f := files{"app/a.sh": "1", "app/n": "1", "app/d/e/x": "1", "app/l": "-> ../outside"}
	w.deploy(f, permissions(
		appspec.Permission{Object: "/srv/a.sh", Mode: mode(0o755 | fs.ModeSetuid), Owner: "daemon"},
		appspec.Permission{Object: "/srv/n", Owner: "12345", Group: "23456"},
		appspec.Permission{Object: "/srv/d", Mode: mode(0o700)},
		appspec.Permission{Object: "/srv/l", Mode: mode(0o600), Owner: "daemon"},
	))
	for p, want := range map[string]string{"srv": "drwxr-xr-x 0:0", "srv/a.sh": "furwxr-xr-x 1:0", "srv/n": "f-rw-r--r-- 12345:23456", "srv/d": "drwxr-xr-x 0:0", "srv/d/e": "drwx------ 0:0", "srv/d/e/x": "f-rwx------ 0:0", "srv/l": "l-rwxrwxrwx 1:0", "outside": "f-rw-r--r-- 0:0"} {
		st, err := lstatPath(w.path(p))
		require.NoError(t, err)
		got := fmt.Sprintf("%c%v %d:%d", st.Kind, st.Mode, st.UID, st.GID)
		require.Equal(t, want, strings.Replace(got, "d-", "d", 1), p)
	}
	// Without the entries everything is as if installed anew.
	w.deploy(f)
	for p, want := range map[string]fs.FileMode{"srv/a.sh": 0o644, "srv/d/e": 0o755, "srv/d/e/x": 0o644} {
		st, err := lstatPath(w.path(p))
		require.NoError(t, err)
		require.Equal(t, want, st.Mode, p)
		require.Equal(t, 0, st.UID)
	}
}

func TestPermissions_WhatIsMeant(t *testing.T) {
	w := newWorld(t)
	w.write("srv/old/x", "x")
	w.write("srv/kept", "k", 0o666)
	p := w.deploy(files{"app/a.sh": "", "app/b": "", "app/d/c.sh": "", "app/e.sh/x": "", "app/secret": "", "app/kept": ""}, retain, permissions(
		appspec.Permission{Object: "/srv", Pattern: "*.sh", Mode: mode(0o700), Types: []appspec.ObjectType{appspec.TypeFile}},
		appspec.Permission{Object: "srv/./d/", Mode: mode(0o711)},
		appspec.Permission{Object: "/srv", Pattern: "*", Except: []string{"s*", "*.sh", "d"}, Mode: mode(0o601)},
		appspec.Permission{Object: "/srv/old", Mode: mode(0o700)},
		appspec.Permission{Object: "/nowhere", Mode: mode(0o700)},
		appspec.Permission{Object: "/srv/b", Mode: mode(0o700), Pattern: "x", Types: []appspec.ObjectType{appspec.TypeDirectory}},
	))
	for p, want := range map[string]fs.FileMode{"a.sh": 0o700, "b": 0o601, "d": 0o755, "d/c.sh": 0o711, "e.sh": 0o755, "e.sh/x": 0o644, "secret": 0o644, "kept": 0o666, "old": 0o755, "old/x": 0o644} {
		st, err := lstatPath(w.path("srv/" + p))
		require.NoError(t, err)
		require.Equal(t, want, st.Mode, p)
	}
	require.Len(t, p.Notes, 3)
	ps := w.refused(files{"app/a": ""}, permissions(appspec.Permission{Object: "/nowhere"}), func(r *Request) { r.Strict = true })
	require.Equal(t, []Code{PermissionUnused}, codes(ps))
}

func getfacl(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.Command("getfacl", "-pcE", path).CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED checking ACLs with getfacl: %v %s", err, out)
	}
	return strings.Fields(string(out))
}

func TestACL_AsTheAgentComputesThem(t *testing.T) {
	needRoot(t, "ACLs")
	w := newWorld(t)
	u := func(name string, perms uint8) appspec.ACLEntry {
		return appspec.ACLEntry{Type: "user", Name: name, Perms: perms}
	}
	g := appspec.ACLEntry{Type: "group", Name: "daemon", Perms: 4}
	du := appspec.ACLEntry{Default: true, Type: "user", Name: "daemon", Perms: 7}
	f := files{"app/a b": "1", "app/m": "1", "app/d/x": "1", "app/one/f": "1", "app/one/g": "1"}
	r := w.request(f, permissions(
		appspec.Permission{Object: "/srv/a b", Mode: mode(0o640), ACLs: []appspec.ACLEntry{u("daemon", 6), g}},
		appspec.Permission{Object: "/srv/m", Mode: mode(0o640), ACLs: []appspec.ACLEntry{u("daemon", 7), {Type: "mask", Perms: 5}}},
		appspec.Permission{Object: "/srv", Pattern: "d", Mode: mode(0o750), Types: []appspec.ObjectType{appspec.TypeDirectory}, ACLs: []appspec.ACLEntry{du, u("daemon", 5)}},
		appspec.Permission{Object: "/srv/one", ACLs: []appspec.ACLEntry{u("daemon", 7)}},
	))
	require.NoError(t, os.Chmod(filepath.Join(r.Bundle, "app/one/f"), 0o600))
	require.NoError(t, os.Chmod(filepath.Join(r.Bundle, "app/one/g"), 0o604))
	_, err := w.try(r)
	require.NoError(t, err)
	require.Equal(t, strings.Fields("user::rw- user:daemon:rw- group::r-- group:daemon:r-- mask::r-- other::---"), getfacl(t, w.path("srv/a b")))
	require.Equal(t, strings.Fields("user::rw- user:daemon:rwx group::r-- mask::r-x other::---"), getfacl(t, w.path("srv/m")))
	require.Equal(t, strings.Fields("user::rwx user:daemon:r-x group::r-x mask::r-x other::--- default:user::rwx default:user:daemon:rwx default:group::r-x default:mask::r-x default:other::---"), getfacl(t, w.path("srv/d")))
	require.Equal(t, strings.Fields("user::rw- user:daemon:rwx group::--- mask::--- other::---"), getfacl(t, w.path("srv/one/f")))
	require.Equal(t, strings.Fields("user::rw- user:daemon:rwx group::--- mask::--- other::r--"), getfacl(t, w.path("srv/one/g")))
	// The next revision asks for none: they are gone, from directories as well.
	w.deploy(f)
	require.Equal(t, strings.Fields("user::rwx group::r-x other::r-x"), getfacl(t, w.path("srv/d")))
	require.Equal(t, strings.Fields("user::rw- group::r-- other::r--"), getfacl(t, w.path("srv/m")))
}

func TestP10_DefaultACLOnFile(t *testing.T) {
	w := newWorld(t)
	d := []appspec.ACLEntry{{Default: true, Type: "user", Name: "root", Perms: 7}}
	for _, object := range []string{"/srv/a", "/srv"} {
		ps := w.refused(files{"app/a": "1"}, permissions(appspec.Permission{Object: object, ACLs: d}))
		require.Equal(t, []Code{DefaultACLOnFile}, codes(ps))
	}
}

func TestE13_FileSystemWithoutACLs(t *testing.T) {
	needRoot(t, "a file system without ACLs")
	w := newWorld(t)
	at := w.path("srv")
	require.NoError(t, os.MkdirAll(at, 0o755))
	if err := unix.Mount("ramfs", at, "ramfs", 0, "mode=755"); err != nil {
		t.Skip("SKIPPED a file system without ACLs: cannot mount a ramfs: " + err.Error())
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	ps := w.refused(files{"app/a": "1"}, permissions(appspec.Permission{Object: "/srv/a", ACLs: []appspec.ACLEntry{{Type: "user", Name: "daemon", Perms: 4}}}))
	require.Equal(t, []Code{ACLUnsupported}, codes(ps))
}

func context1(user, typ, rng string) *appspec.Context {
	return &appspec.Context{User: user, Type: typ, Range: rng}
}

func TestE13_ContextWithoutTools(t *testing.T) {
	if selinuxActive() {
		t.Skip("SKIPPED contexts without SELinux: it is active here")
	}
	w := newWorld(t)
	ps := w.refused(files{"app/a": "1"}, permissions(appspec.Permission{Object: "/srv/a", Context: context1("", "httpd_t", "s0")}))
	require.Equal(t, []Code{ContextUnsupported}, codes(ps))
}

func TestContext_Tools(t *testing.T) {
	w := newWorld(t)
	bin, log := filepath.Join(w.base, "bin"), filepath.Join(w.base, "log")
	for _, name := range []string{"semanage", "restorecon"} {
		writeFile(t, filepath.Join(bin, name), "#!/bin/sh\nfor a in \"$@\"; do printf '[%s]' \"$a\" >> "+log+"; done\necho \" "+name+"\" >> "+log+"\ncase $* in *broken*) exit 1;; esac\n", 0o755)
	}
	tools := func(r *Request) { r.ToolPath = "/nowhere:" + bin; r.ToolEnv = []string{"PATH=/usr/bin:/bin"} }
	said := func() string {
		b, _ := os.ReadFile(log)
		_ = os.Remove(log)
		return strings.ReplaceAll(string(b), w.root, "")
	}
	w.deploy(files{"app/a b": "1"}, tools, permissions(appspec.Permission{Object: "/srv/a b", Context: context1("system_u", "httpd_t", "s0-s2:c1,c3")}))
	require.Equal(t, "[fcontext][-a][-s][system_u][-t][httpd_t][-r][s0-s2:c1,c3][/srv/a b] semanage\n[-v][/srv/a b] restorecon\n", said())

	_, err := w.try(w.request(files{"app/broken": "2"}, tools, permissions(appspec.Permission{Object: "/srv/broken", Context: context1("", "t", "")})))
	require.ErrorContains(t, err, "semanage fcontext -a -t t")
	require.Equal(t, []string{"srv", "srv/a"}, w.tree())
	require.Contains(t, said(), "[-d][/srv/broken] semanage\n[fcontext][-a][-s][system_u][-t][httpd_t][-r][s0-s2:c1,c3][/srv/a b] semanage")

	w.deploy(files{"app/a b": "2"}, tools)
	require.Equal(t, "[fcontext][-d][/srv/a b] semanage\n", said())
}

func TestLabel_Attribute(t *testing.T) {
	require.Equal(t, "system_u:object_r:httpd_t:s0:c1", (&label{Type: "httpd_t", Range: "s0:c1"}).apply("system_u:object_r:tmp_t:s0"))
	require.Equal(t, "me:object_r:x_t:s0", (&label{User: "me", Type: "x_t"}).apply(""))
}

func TestInstall_SpecialFileInTheWay(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(w.path("srv"), 0o755))
	require.NoError(t, unix.Mkfifo(w.path("srv/a"), 0o644))
	require.Equal(t, []Code{SpecialInTheWay}, codes(w.refused(files{"app/a": "1"}, overwrite)))
	r := w.request(files{"app/b": "1"})
	require.NoError(t, unix.Mkfifo(filepath.Join(r.Bundle, "app/p"), 0o644))
	r.Manifest = manifestOf(t, r.Bundle)
	_, err := NewPlan(context.Background(), r)
	require.ErrorContains(t, err, "app/p is neither a file, a directory nor a link")
}
