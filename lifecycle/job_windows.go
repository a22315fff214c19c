package lifecycle

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is everything that a script started: its job. A process is born into its
// parent's job and cannot leave this one. The job ends when we do, whatever we die of,
// and with it all that is in it; a script that succeeds is let go of first.
type group struct {
	job windows.Handle // 0: none
	hit int            // processes that were ended
}

func newGroup(string, *outputs) *group { return &group{} }

// attr starts the script without running it, so that it is in the job before it can
// start anything; and with a console of its own that nobody sees, so that Ctrl-C in
// ours is not for it.
func (g *group) attr(*Account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_SUSPENDED | windows.CREATE_NO_WINDOW, HideWindow: true}
}

// started puts the script into its job and lets it run.
func (g *group) started(pid int) error {
	var err error
	if g.job, err = newJob(); err != nil {
		return fmt.Errorf("no job object: %w", err)
	}
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return fmt.Errorf("opening the process: %w", err)
	}
	defer windows.CloseHandle(process)
	if err := windows.AssignProcessToJobObject(g.job, process); err != nil {
		return fmt.Errorf("putting it into its job object: %w", err)
	}
	return resume(uint32(pid))
}

// newJob makes a job that ends when its last handle is closed.
func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	if err := limitJob(job, windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE); err != nil {
		windows.CloseHandle(job)
		return 0, err
	}
	return job, nil
}

func limitJob(job windows.Handle, flags uint32) error {
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: flags}}
	_, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	return err
}

// resume lets a process run that was started suspended. It has one thread.
func resume(pid uint32) error {
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return fmt.Errorf("listing threads: %w", err)
	}
	defer windows.CloseHandle(all)
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(all, &entry); err == nil; err = windows.Thread32Next(all, &entry) {
		if entry.OwnerProcessID == pid {
			return resumeThread(entry.ThreadID)
		}
	}
	return errors.Join(errors.New("its thread was not found"), err)
}

func resumeThread(id uint32) error {
	thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, id)
	if err != nil {
		return fmt.Errorf("opening its thread: %w", err)
	}
	defer windows.CloseHandle(thread)
	if _, err := windows.ResumeThread(thread); err != nil {
		return fmt.Errorf("letting it run: %w", err)
	}
	return nil
}

func (g *group) giveUp(*syscall.SysProcAttr) bool { return false }

// end kills in either case: there is no way to ask a process without a window. It
// reports whether there was nobody left.
func (g *group) end(bool) (none bool) {
	n := g.active()
	if n == 0 {
		return true
	}
	g.hit = max(g.hit, n)
	_ = windows.TerminateJobObject(g.job, 1) // what is left is seen the next time
	return false
}

// accounting is JOBOBJECT_BASIC_ACCOUNTING_INFORMATION.
type accounting struct {
	_               [4]int64 // times
	PageFaults      uint32
	TotalProcesses  uint32
	ActiveProcesses uint32
	Terminated      uint32
}

// active is how many processes are in the job.
func (g *group) active() int {
	if g.job == 0 {
		return 0
	}
	var info accounting
	err := windows.QueryInformationJobObject(g.job, windows.JobObjectBasicAccountingInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil)
	if err != nil {
		return 0
	}
	return int(info.ActiveProcesses)
}

func (g *group) hits() int { return g.hit }

// leave lets the members live on.
func (g *group) leave() {
	if g.job == 0 || limitJob(g.job, 0) != nil {
		g.job = 0 // a handle that stays open ends them with us, and not at once
		return
	}
	g.release()
}

// release closes the job, and ends whoever is still in it.
func (g *group) release() {
	if g.job != 0 {
		windows.CloseHandle(g.job)
		g.job = 0
	}
}
