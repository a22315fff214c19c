package cutover_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// floors is the table of DESIGN.md: a package imports only from floors below its
// own. A new package does not pass before it has found its floor.
var floors = map[string]int{
	"lifecycle":                     0,
	"revision":                      0,
	"revision/s3":                   1,
	"revision/github":               1,
	"appspec":                       1,
	"lifecycle/journal":             1,
	"strategy":                      1,
	"rollback":                      1,
	"target":                        1,
	"target/tags":                   1,
	"target/iam":                    0,
	"target/inventory":              2,
	"target/agent":                  2,
	"target/targettest":             2,
	"lifecycle/journal/journaltest": 2,
	"lifecycle/journal/dynamodb":    2,
	"rollback/cloudwatch":           2,
	"target/function":               2,
	"target/throttle":               2,
	"target/lambda":                 3,
	"target/onprem":                 3,
	"target/fake":                   3,
	"target/haproxy":                3,
	"target/command":                3,
	"target/ecs":                    3,
	".":                             3,
	"internal/awsfake":              0,
	"internal/awsfake/cloudwatch":   1,
	"internal/awsfake/lambda":       1,
	"internal/moto":                 0,
	"internal/platform":             0,
	"internal/lossy":                0,
	"internal/awserror":             1,
	"internal/awsfake/machines":     0,
	"internal/awsfake/elb":          1,
	"internal/awsfake/autoscaling":  1,
	"internal/awsfake/classic":      1,
	"internal/awsfake/ec2":          1,
	"internal/awsfake/ssm":          1,
	"internal/awsfake/ec2world":     2,
	"target/ec2":                    3,
	"target/ec2/instances":          4,
	"examples/ec2":                  5,
	"internal/sshtest":              0,
	"internal/lazyregexp":           0,
	"internal/killtest":             3,
	"examples/lambda":               5,
	"examples/console":              4,
	"examples/console/cloud":        4,
	"examples/onprem":               5,
	"examples/ssh":                  5,
	"examples/ecs":                  5,
	"internal/awsfake/ecs":          2,
	"examples/validate":             4,
	"examples/customtarget":         4,
	"examples/faketest":             4,
}

// owner is the package that an internal package is part of; other packages are
// their own. The go command sees to it that nobody else imports it.
func owner(dir string) string {
	of, _, _ := strings.Cut(dir, "/internal/")
	return of
}

// outside lists the modules that packages may import, and who may. Another one
// needs a reason in DESIGN.md and a line here.
var outside = map[string][]string{
	"gopkg.in/yaml.v3":                   {"appspec", "target/inventory"},
	"github.com/hashicorp/go-multierror": {"appspec", "lifecycle", "revision", "target/agent", "target/onprem", "target/inventory", "strategy", "."},
	"golang.org/x/sys":                   {"internal", "lifecycle", "lifecycle/journal", "revision", "target/agent", "target/onprem"},
	"golang.org/x/crypto":                {"internal", "target/onprem"},
	"golang.org/x/term":                  {"examples"},
	"github.com/aws": {"internal", "revision/s3", "lifecycle/journal/dynamodb", "target/throttle", "target/lambda", "target/ecs", "target/ec2",
		"rollback/cloudwatch", "examples"},
	"golang.org/x/time":                {"target/throttle"},
	"github.com/kevinburke/ssh_config": {"target/onprem"},
	"github.com/klauspost/compress":    {"target/agent"},
	"github.com/vbauerster/mpb/v8":     {"examples"},
}

func TestImportsGoDownwardsOnly(t *testing.T) {
	for _, s := range sources(t) {
		own, ok := floors[owner(s.Dir)]
		require.True(t, ok, "package %s has no floor: give it one in floors_test.go and DESIGN.md", s.Dir)
		for _, p := range s.imports(t) {
			dir, ours := inModule(p)
			if !ours || owner(dir) == owner(s.Dir) {
				continue
			}
			other, ok := floors[owner(dir)]
			require.True(t, ok, "%s imports %s, which has no floor", s.Name, p)
			require.Less(t, other, own, "%s: floor %d must not import %s of floor %d", s.Name, own, dir, other)
		}
	}
}

// inModule returns the package's directory if it is one of ours.
func inModule(p string) (dir string, ok bool) {
	if p == module {
		return ".", true
	}
	return strings.CutPrefix(p, module+"/")
}

func TestFloorsNamesOnlyPackagesThatExist(t *testing.T) {
	found := map[string]bool{}
	for _, s := range sources(t) {
		found[s.Dir] = true
	}
	for dir := range floors {
		require.True(t, found[dir], "floors_test.go gives a floor to %s, which is not there", dir)
	}
}

func TestImportsFromOutsideAreTheChosenOnes(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range s.imports(t) {
			first, _, _ := strings.Cut(p, "/")
			if _, ours := inModule(p); ours || !strings.Contains(first, ".") {
				continue // our own, or the standard library
			}
			require.True(t, mayImport(s.Dir, p), "%s imports %s: not one of the chosen dependencies of %s", s.Name, p, s.Dir)
		}
	}
}

func mayImport(dir, p string) bool {
	for mod, users := range outside {
		if p != mod && !strings.HasPrefix(p, mod+"/") {
			continue
		}
		for _, u := range users {
			if dir == u || u != "." && strings.HasPrefix(dir, u+"/") {
				return true
			}
		}
	}
	return false
}

// What a user links must not hold the AWS SDK or a test library. The go command
// knows the whole of what a package pulls in; where there is none, the tests
// above still see all that we import ourselves.
func TestLibraryPullsInNeitherSDKNorTestLibraries(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("SKIPPED indirect imports: there is no go command here")
	}
	forbidden := []string{"github.com/aws/", "github.com/stretchr/", "go.uber.org/goleak", "pgregory.net/", "github.com/vbauerster/", "testing"}
	for _, pkg := range []string{"lifecycle", "lifecycle/journal", "revision", "appspec", "strategy", "rollback", "target", "target/tags", "target/iam", "target/inventory", "target/agent", "target/function", "target/onprem", ""} {
		out, err := exec.Command(tool, "list", "-deps", "./"+pkg).CombinedOutput()
		require.NoError(t, err, "go list ./%s: %s", pkg, out)
		for dep := range strings.FieldsSeq(string(out)) {
			for _, f := range forbidden {
				require.False(t, dep == f || strings.HasSuffix(f, "/") && strings.HasPrefix(dep, f), "package ./%s pulls in %s", pkg, dep)
			}
		}
	}
}

// clocked lists the files of deciding packages that may read or wait for the
// clock, and why. Everything else there takes the time as an argument.
var clocked = map[string]string{
	"lifecycle/clock.go":     "the lines of a hook's log carry the time, and accounts expire by date",
	"lifecycle/start.go":     "a program file that is still being written is tried again a moment later",
	"lifecycle/supervise.go": "a script has a time limit, a grace, and an end of waiting",
	"lifecycle/output.go":    "late output is waited for only so long",
	"rollback/read.go":       "an alarm that does not answer is waited for only so long",
}

func TestDecidingCodeDoesNotReadTheClock(t *testing.T) {
	deciding := map[string]bool{"strategy": true, "rollback": true, "appspec": true, "lifecycle": true}
	need := map[string]bool{}
	for _, s := range sources(t) {
		if !deciding[s.Dir] {
			continue
		}
		found := s.uses(t, "time", "Now", "Sleep", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick")
		if len(found) > 0 {
			need[s.Name] = true
			require.Contains(t, clocked, s.Name, "deciding code takes now as an argument: %v", found)
		}
	}
	for name := range clocked {
		require.True(t, need[name], "%s no longer uses the clock: take it off the list", name)
	}
}

// processes are what is no library code: parts of tests, and the agent when it is a
// process of its own, which nobody else's code runs in.
var processes = map[string]bool{
	"internal/moto": true, "internal/sshtest": true,
	"target/agent/main.go": true, "target/agent/daemon_unix.go": true,
}

func TestLibraryHasNoHiddenInputsOrOutputs(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasPrefix(s.Dir, "examples/") || processes[s.Name] || processes[s.Dir] {
			continue
		}
		var found []string
		found = append(found, s.uses(t, "os", "Exit", "Stdout", "Stderr", "Stdin", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Chdir")...)
		found = append(found, s.uses(t, "fmt", "Print", "Printf", "Println")...)
		found = append(found, s.uses(t, "log", "Print*", "Fatal*", "Panic*", "Default", "Set*")...)
		found = append(found, s.uses(t, "os/signal", "*")...)
		found = append(found, s.uses(t, "syscall", "Umask", "Getenv", "Environ")...)
		require.Empty(t, found, "library code neither prints, exits, nor looks behind the caller's back")
	}
}
