//go:build unix

package agent

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// oracleCase is a recorded run of the official agent: what was put in, and what
// came out.
type oracleCase struct {
	Name         string          `json:"name"`
	Needs        []string        `json:"needs"`
	Defect       string          `json:"agent_defect"`
	Varies       []string        `json:"varies"`
	CompareMtime bool            `json:"compare_mtime"`
	Setup        []oracleOp      `json:"setup"`
	Deployments  []oracleDeploy  `json:"deployments"`
	Want         []oracleOutcome `json:"-"`
	dir          string
}

type oracleDeploy struct {
	ID           string            `json:"id"`
	Bundle       string            `json:"bundle"`
	Type         string            `json:"type"`
	Prefix       string            `json:"prefix"`
	Prepare      []oracleOp        `json:"prepare"`
	Before       []oracleOp        `json:"before"`
	After        []oracleOp        `json:"after"`
	Mode         string            `json:"mode"`
	Events       []string          `json:"events"`
	FileExists   string            `json:"file_exists_behavior"`
	Group        string            `json:"group"`
	GroupName    string            `json:"group_name"`
	Application  *string           `json:"application"`
	Creator      string            `json:"creator"`
	Kind         string            `json:"deployment_type"`
	AppSpec      string            `json:"appspec_filename"`
	Env          map[string]string `json:"env"`
	Umask        string            `json:"umask"`
	MaxRevisions int               `json:"max_revisions"`
	KillAfter    float64           `json:"kill_after_s"`
}

// UnmarshalJSON fills in the defaults; an application of null stays nil.
func (d *oracleDeploy) UnmarshalJSON(data []byte) error {
	type plain oracleDeploy
	shop := "shop"
	p := plain{Type: "directory", Mode: "local", FileExists: "DISALLOW", Group: "g1", GroupName: "Fleet",
		Application: &shop, Umask: "0022", MaxRevisions: 5}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*d = oracleDeploy(p)
	return nil
}

// oracleOutcome is what is compared.
type oracleOutcome struct {
	ID          string          `json:"id"`
	Outcome     string          `json:"outcome"`
	Events      []string        `json:"events"`
	FailedEvent *string         `json:"failed_event"`
	Error       *oracleError    `json:"error"`
	DiagLog     *string         `json:"diag_log"`
	ScriptLog   json.RawMessage `json:"script_log"`
	Trace       []string        `json:"trace"`
	Tree        []treeEntry     `json:"tree"`
	State       struct {
		LastSuccessful *string  `json:"last_successful"`
		MostRecent     *string  `json:"most_recent"`
		Archives       []string `json:"archives"`
	} `json:"state"`
	Probes []oracleProbe `json:"probes"`
}

type oracleError struct {
	Kind       string  `json:"kind"`
	Script     *string `json:"script"`
	Gist       string  `json:"gist"`
	ExitStatus *int    `json:"exit_status"`
	Errno      string  `json:"errno"`
}

type oracleProbe struct {
	Op     string          `json:"op"`
	Path   string          `json:"path"`
	Result json.RawMessage `json:"result"`
}

// oracleDir is where the recorded runs are, or the test is skipped.
func oracleDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CUTOVER_ORACLE")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "oracle")
	}
	dir, err := filepath.Abs(filepath.Join(dir, "deploy"))
	require.NoError(t, err)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("SKIPPED comparison with the official agent: no recorded runs in " + dir)
	}
	return dir
}

func loadCase(t *testing.T, dir string) *oracleCase {
	t.Helper()
	c := &oracleCase{dir: dir}
	data, err := os.ReadFile(filepath.Join(dir, "case.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, c))
	data, err = os.ReadFile(filepath.Join(dir, "want.json"))
	require.NoError(t, err)
	var want struct {
		Deployments []oracleOutcome `json:"deployments"`
	}
	require.NoError(t, json.Unmarshal(data, &want))
	c.Want = want.Deployments
	require.Len(t, c.Want, len(c.Deployments))
	return c
}

// unmet returns what the case needs and this machine lacks; empty: nothing.
func (c *oracleCase) unmet() string {
	for _, need := range c.Needs {
		if !haveNeed(need) {
			return need
		}
	}
	return ""
}

func haveNeed(need string) bool {
	tool := func(names ...string) bool {
		for _, n := range names {
			if _, err := exec.LookPath(n); err != nil {
				return false
			}
		}
		return true
	}
	passwd, _ := os.ReadFile("/etc/passwd")
	switch need {
	case "root":
		return os.Geteuid() == 0
	case "acl":
		return tool("getfacl", "setfacl")
	case "unzip":
		return true // archives are read without tools here
	case "sudo":
		return os.Geteuid() == 0 // means root here, without the tool
	case "no:semanage":
		return !tool("semanage")
	case "user:cdtest":
		return strings.Contains(string(passwd), "\ncdtest:x:4242:4242:")
	case "nologin:nobody":
		return strings.Contains(string(passwd), "\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin")
	}
	return false
}
