package ec2

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/cutover-deploy/cutover/internal/awserror"
	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/target/agent"
	"github.com/cutover-deploy/cutover/target/ec2/internal/batch"
)

// send has one step done on many hosts.
func (s *SSM) send(ctx context.Context, k kind, ids []string) []batch.Result[*command] {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	script, err := s.script(ctx, k, key)
	if err != nil {
		return batch.Same[*command](len(ids), nil, err)
	}
	return s.sendTo(ctx, k, key, script, ids)
}

// sendTo sends the command. A host that Systems Manager does not know spoils it for
// all, so it is found by halves.
func (s *SSM) sendTo(ctx context.Context, k kind, key []byte, script string, ids []string) []batch.Result[*command] {
	in := &ssm.SendCommandInput{
		DocumentName: aws.String(s.document()), InstanceIds: ids, MaxErrors: aws.String("100%"), MaxConcurrency: aws.String(strconv.Itoa(len(ids))),
		Comment:        aws.String(comment(k)),
		TimeoutSeconds: aws.Int32(int32(max(30*time.Second, or(s.Delivery, 10*time.Minute)).Seconds())),
		Parameters: map[string][]string{
			"commands":         {script},
			"executionTimeout": {strconv.Itoa(int(or(s.Execution, 2*time.Hour).Seconds()))},
		},
	}
	var out *ssm.SendCommandOutput
	told := false // hosts may have been
	err := insist(ctx, func() (err error) {
		out, err = awserror.Ask(ctx, s.Client.SendCommand, in)
		told = told || err != nil && awserror.Meaning(err) == lifecycle.Unknown
		return err
	})
	switch {
	case err != nil && awserror.Code(err) == "InvalidInstanceId" && len(ids) > 1:
		half := len(ids) / 2
		return append(s.sendTo(ctx, k, key, script, ids[:half]), s.sendTo(ctx, k, key, script, ids[half:])...)
	case err != nil && awserror.Code(err) == "InvalidInstanceId":
		err = &lifecycle.Error{Err: errUnmanaged, Failure: lifecycle.Failure{Code: lifecycle.UnitLost, Message: fmt.Sprintf(
			"Systems Manager cannot reach %s: its agent does not run there, has no permission (AmazonSSMManagedInstanceCore), or has not reported in within SSM.Arrival", ids[0])}}
	case err != nil:
		if err = failed(fmt.Sprintf("sending a command to %d hosts", len(ids)), err); told {
			err = unknown(err)
		}
	case out.Command == nil || aws.ToString(out.Command.CommandId) == "":
		err = refuse(lifecycle.Unknown, "the answer to SendCommand names no command")
	}
	if err != nil {
		return batch.Same[*command](len(ids), nil, err)
	}
	return batch.Same(len(ids), s.newCommand(*out.Command.CommandId, key), nil)
}

func (s *SSM) document() string {
	if s.Document != "" {
		return s.Document
	}
	return "AWS-RunShellScript"
}

// maxComment is how long the comment of a command may be.
const maxComment = 100

func comment(k kind) string {
	text := fmt.Sprintf("cutover: %s of %s", k.event, k.deployment)
	return text[:min(len(text), maxComment)]
}

// hostMark stands for the id of the host in a batch, until it is there.
const hostMark = "@CUTOVER-HOST@"

// notBegun is the exit status of the script when the agent could not be started. Then
// nothing was done.
const notBegun = 90

// script is what hosts run. The same goes to all: each puts in its own id. It prints
// the signed result and nothing else; what goes wrong before is printed as an error.
func (s *SSM) script(ctx context.Context, k kind, key []byte) (string, error) {
	programs, err := s.parts.programs(s.findPrograms)
	if err != nil {
		return "", err
	}
	choices, err := putPrograms(ctx, s.Store, programs)
	if err != nil {
		return "", err
	}
	b := agent.Batch{Start: s.Agent, Job: k.job, Key: key,
		Steps: []lifecycle.Step{{Deployment: k.deployment, Stage: k.stage, Unit: hostMark, Event: k.event, Weight: k.weight}}}
	if k.event == lifecycle.Start || k.event == lifecycle.DownloadBundle {
		if b.Fetch, err = s.parts.revision(ctx, s.Store, k.job); err != nil {
			return "", err
		}
	}
	data, err := b.Encode()
	if err != nil {
		return "", refuse(lifecycle.TargetFailed, "the steps cannot be written down: %v", err)
	}
	sum := sha256.Sum256(data)
	url, err := s.Store.Put(ctx, "batches/"+hex.EncodeToString(sum[:])+".json", strings.NewReader(string(data)))
	if err != nil {
		return "", failed("putting a batch of steps where hosts fetch it", err)
	}
	dir := s.Dir
	if dir == "" {
		dir = "/var/lib/cutover"
	}
	return fmt.Sprintf(scriptText, quote(dir), choices, quote(url), hostMark, notBegun), nil
}

// scriptText needs nothing on a host but a shell, sed, tr, and curl or wget. Hosts say
// themselves of which platform they are, so one command goes to hosts of several.
const scriptText = `S=%[1]s; U="${AWS_SSM_INSTANCE_ID:-}"; P="$(uname -sm | tr A-Z a-z)"
fetch() { if command -v curl >/dev/null; then curl -fsS --retry 5 -o "$2" "$1"; else wget -q -O "$2" "$1"; fi; }
case "$U" in ''|*[!A-Za-z0-9-]*) echo "the SSM agent does not say which host this is" >&2; exit %[5]d;; esac
case "$P" in
%[2]s*) echo "the host is $P, and there is no program for that: build it for the platform, and name it after that (linux-arm64) in a directory that SSM.Programs names" >&2; exit %[5]d;;
esac
A="$S/.agents/$D"
if ! test -x "$A"; then
  T="$S/.agents/new.$$"
  { mkdir -p "$S" && chmod 711 "$S" && mkdir -p -m 700 "$S/.agents" && fetch "$F" "$T" && chmod 700 "$T" && "$T" cutover-agent install "$A" "$D"; } >&2 ||
    { rm -f "$T"; echo "the agent cannot be brought to this host" >&2; exit %[5]d; }
fi
B="$S/.agents/batch.$$"
trap 'rm -f "$B"' EXIT
(umask 077; fetch %[3]s "$B") >&2 || { echo "the steps cannot be fetched" >&2; exit %[5]d; }
sed "s/%[4]s/$U/g" "$B" | "$A" cutover-agent perform "$S" - -
`

// quote makes one word of a text, for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// resultIn finds the signed result in what a command has printed.
func resultIn(output string) (line string, ok bool) {
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, `{"result":`) {
			return line, true
		}
	}
	return "", false
}
