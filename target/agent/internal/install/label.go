package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// label is an SELinux context to give.
type label struct {
	User  string `json:"u,omitempty"`
	Type  string `json:"t"`
	Range string `json:"r,omitempty"`

	direct bool // written as an attribute; there is no tool to register it
}

// apply puts the label's parts over those of a context, user:role:type:range.
func (l *label) apply(context string) string {
	parts := strings.SplitN(context, ":", 4)
	for len(parts) < 4 {
		parts = append(parts, [...]string{"system_u", "object_r", "unlabeled_t", "s0"}[len(parts)])
	}
	if parts[0] == "" {
		parts[0] = "system_u"
	}
	if l.User != "" {
		parts[0] = l.User
	}
	parts[2] = l.Type
	if l.Range != "" {
		parts[3] = l.Range
	}
	return strings.Join(parts, ":")
}

// labeller registers contexts by the system's own tools, by argument lists.
type labeller struct {
	semanage, restorecon string
	env                  []string
}

func newLabeller(req *Request) *labeller {
	l := &labeller{env: req.ToolEnv}
	for _, d := range filepath.SplitList(req.ToolPath) {
		if l.semanage == "" {
			l.semanage = program(d, "semanage")
		}
		if l.restorecon == "" {
			l.restorecon = program(d, "restorecon")
		}
	}
	return l
}

func program(dir, name string) string {
	p := filepath.Join(dir, name)
	if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 && filepath.IsAbs(p) {
		return p
	}
	return ""
}

func (l *labeller) found() bool { return l.semanage != "" && l.restorecon != "" }

func (l *labeller) add(ctx context.Context, path string, x *label) error {
	args := []string{"fcontext", "-a"}
	if x.User != "" {
		args = append(args, "-s", x.User)
	}
	args = append(args, "-t", x.Type)
	if x.Range != "" {
		args = append(args, "-r", x.Range)
	}
	if err := l.run(ctx, l.semanage, append(args, path)...); err != nil {
		return err
	}
	return l.run(ctx, l.restorecon, "-v", path)
}

// drop forgets a rule. A rule that is not there is no error, so the result is not
// looked at, as the official agent does.
func (l *labeller) drop(ctx context.Context, path string) {
	_ = l.run(ctx, l.semanage, "fcontext", "-d", path)
}

func (l *labeller) run(ctx context.Context, name string, args ...string) error {
	if name == "" {
		return fmt.Errorf("SELinux context: the tools semanage and restorecon are not on this host any more")
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = l.env
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.WaitDelay = time.Second // for a child of the tool that keeps its output open
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(string(out[:min(len(out), 500)])))
	}
	return nil
}
