package lifecycle

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// check looks at the file before it is run, and makes it executable where it is
// not. It logs the script's line, as the host agent does for one that exists. It
// reports whether there is anything to run.
func (s *Script) check(env Env, out sink) (bool, error) {
	info, err := os.Stat(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, s.fail(env, ScriptMissing, s.missing(), err)
	case err != nil:
		return false, s.fail(env, ScriptNotExecutable, fmt.Sprintf("cannot be looked at: %v", err), err)
	}
	out.add("", []byte("Script - "+s.Location+"\n"), true)
	out.commit()
	if !info.Mode().IsRegular() {
		return false, s.fail(env, ScriptNotExecutable, "is "+fileType(info.Mode())+", not a script; name a file in the AppSpec", nil)
	}
	if err := s.makeExecutable(env, info); err != nil {
		return false, err
	}
	if info.Size() == 0 {
		env.note("", "script "+s.Location+" is empty; it counts as success")
		return false, nil
	}
	return true, nil
}

func (s *Script) missing() string {
	if to, err := os.Readlink(s.Path); err == nil {
		return fmt.Sprintf("is a link to %q, which does not exist; put the file into the revision", to)
	}
	return "is not in the revision; add the file, or correct its location in the AppSpec"
}

// fileType names what is not a regular file.
func fileType(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}

// makeExecutable adds execute permission for all, like the host agent, if this
// process may not execute the file.
func (s *Script) makeExecutable(env Env, info fs.FileInfo) error {
	if mayExecute(s.Path) {
		return nil
	}
	if info.Mode()&0o111 != 0 && onNoexec(s.Path) {
		return s.fail(env, ScriptNotExecutable, noexecText, nil)
	}
	mode := info.Mode().Perm() | 0o111
	if err := os.Chmod(s.Path, mode|info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return s.fail(env, ScriptNotExecutable, fmt.Sprintf("is not executable and cannot be made so: %v; make it executable in the revision", err), err)
	}
	if !mayExecute(s.Path) {
		if onNoexec(s.Path) {
			return s.fail(env, ScriptNotExecutable, noexecText, nil)
		}
		return s.fail(env, ScriptNotExecutable, "is not executable, even with execute permission for all; check access rules of the file system", nil)
	}
	env.note("", fmt.Sprintf("script %s was not executable; its mode was changed from %04o to %04o", s.Location, info.Mode().Perm(), mode))
	return nil
}

const noexecText = "lies on a file system that is mounted noexec; mount it without that option or keep deployments elsewhere"

// head returns the beginning of the file.
func (s *Script) head() []byte {
	f, err := os.Open(s.Path)
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, 512)
	n, _ := f.Read(buf)
	return buf[:n]
}

// foreign says what kind of program for another machine the file is; empty: no
// known kind.
func (s *Script) foreign() string {
	head := s.head()
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		if f, err := elf.Open(s.Path); err == nil {
			defer f.Close()
			return "an ELF program for " + strings.TrimPrefix(f.Machine.String(), "EM_")
		}
		return "a damaged ELF program"
	case bytes.HasPrefix(head, []byte("MZ")) && bytes.IndexByte(head, 0) >= 0:
		return "a Windows program"
	case bytes.HasPrefix(head, []byte{0xcf, 0xfa, 0xed, 0xfe}), bytes.HasPrefix(head, []byte{0xca, 0xfe, 0xba, 0xbe}):
		return "a macOS program"
	}
	return ""
}

// interpreter returns the first word of the file's interpreter line.
func (s *Script) interpreter() string {
	line, ok := bytes.CutPrefix(s.head(), []byte("#!"))
	if !ok {
		return ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	line = bytes.TrimLeft(line, " \t")
	if i := bytes.IndexAny(line, " \t"); i >= 0 {
		line = line[:i]
	}
	return string(line)
}

// notStarted explains why the system did not start the script.
func (s *Script) notStarted(env Env, err error) error {
	message := s.whyNotStarted(err)
	if message == "" {
		message = fmt.Sprintf("cannot be started: %v", err)
	}
	if s.Account != nil && errors.Is(err, errNotPermitted) {
		return s.fail(env, RunAsInvalid, fmt.Sprintf("cannot be run as %s: %v; only root can run scripts as somebody else", s.Account.Name, err), err)
	}
	return s.fail(env, ScriptNotExecutable, message, err)
}

func (s *Script) whyNotStarted(err error) string {
	if info, e := os.Stat(s.dir()); e != nil {
		return fmt.Sprintf("cannot be started: its working directory is missing: %v", e)
	} else if !info.IsDir() {
		return fmt.Sprintf("cannot be started: its working directory %s is not a directory", s.dir())
	}
	in := s.interpreter()
	switch {
	case errors.Is(err, errExecFormat):
		if what := s.foreign(); what != "" {
			return fmt.Sprintf("is %s and cannot run on this machine (%s/%s); build it for this machine", what, runtime.GOOS, runtime.GOARCH)
		}
	case errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(in, "\r"):
		return fmt.Sprintf("interpreter %q not found: the first line ends in a carriage return; save the file with LF line ends", in)
	case errors.Is(err, fs.ErrNotExist) && in != "":
		return fmt.Sprintf("interpreter %s not found; install it or correct the first line", in)
	case errors.Is(err, fs.ErrNotExist):
		return "cannot be started: a file that it needs is not there (the program loader that it was built for?)"
	case errors.Is(err, fs.ErrPermission) && onNoexec(s.Path):
		return noexecText
	case errors.Is(err, fs.ErrPermission) && s.Account != nil && !errors.Is(err, errNotPermitted):
		return fmt.Sprintf("cannot be started as %s: the account %s", s.Account.Name, s.Account.barred(s.Path, s.dir()))
	case errors.Is(err, fs.ErrPermission) && in != "":
		return fmt.Sprintf("interpreter %s cannot be executed (permission denied)", in)
	}
	return ""
}
