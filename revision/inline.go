package revision

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Inline is an AppSpec given as text (CodeDeploy: AppSpecContent), which is all that
// deployments to ECS and Lambda need. It is written to the records as it is, so it
// must not hold secrets.
type Inline struct {
	Content string
	SHA256  string // of the content, hex; refused if it is another. Empty: not compared
	Name    string // of the file in the revision; empty: appspec.yaml, also for JSON

	// Verifier has to agree before it is used. Nil: nobody is asked.
	Verifier Verifier
	// Signature is the detached signature of the content, for the Verifier. It is written
	// to the records, too. Nil: there is none, and the Verifier decides.
	Signature []byte

	recorded bool
}

// specName is what an AppSpec is called that comes alone. JSON is YAML, too, and it
// is one of the two names that an AppSpec is looked for under.
const specName = "appspec.yaml"

// maxSpec bounds an AppSpec that comes alone; package appspec has the same limit.
const maxSpec = 256 << 10

func (s Inline) name() string {
	if s.Name == "" {
		return specName
	}
	return s.Name
}

func (s Inline) sum() string {
	sum := sha256.Sum256([]byte(s.Content))
	return hex.EncodeToString(sum[:])
}

// Location implements Source.
func (s Inline) Location() Location {
	p := map[string]string{"name": s.name(), "content": s.Content, "sha256": s.sum()}
	if s.Signature != nil {
		p["signature"] = base64.StdEncoding.EncodeToString(s.Signature)
	}
	return Location{Kind: KindInline, Params: p}
}

// At implements Opener: another AppSpec, with the same verifier.
func (s Inline) At(l Location) (Source, error) {
	if l.Kind != KindInline {
		return nil, OtherKind(l, KindInline)
	}
	s = Inline{Content: l.Params["content"], SHA256: l.Params["sha256"], Name: l.Params["name"], Verifier: s.Verifier, recorded: true}
	if text := l.Params["signature"]; text != "" {
		var err error
		if s.Signature, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, &Error{Code: SignatureInvalid, Path: l.String(), Err: fmt.Errorf("the recorded signature cannot be read: %w", err)}
		}
	}
	return s, nil
}

// Open implements Source: a revision of one file.
func (s Inline) Open(ctx context.Context, work string) (*Bundle, error) {
	b, err := s.open(ctx, work)
	if err != nil {
		return nil, in(ctx, s.Location().String(), err)
	}
	return b, nil
}

func (s Inline) open(ctx context.Context, work string) (*Bundle, error) {
	switch have := s.sum(); {
	case strings.TrimSpace(s.Content) == "":
		return nil, refuse(NotAnArchive, "", "the AppSpec is empty")
	case len(s.Content) > maxSpec:
		return nil, refuse(TooLarge, "", "the AppSpec has %d bytes; at most %d are allowed", len(s.Content), maxSpec)
	case !utf8.ValidString(s.Content):
		return nil, refuse(NotAnArchive, "", "the AppSpec is not UTF-8 text")
	case s.SHA256 != "" && !strings.EqualFold(have, s.SHA256):
		return nil, refuse(DigestMismatch, "", "the AppSpec has the SHA-256 %s, not %s", have, s.SHA256)
	}
	name, refused := memberPath(s.name())
	if refused != nil {
		return nil, refused
	}
	if s.Verifier == nil {
		return single(work, name, []byte(s.Content))
	}
	if err := s.verified(ctx, absolute(work)); err != nil {
		return nil, err
	}
	return single(filepath.Join(work, "content"), name, []byte(s.Content))
}

// verified asks the verifier, which may want to see a file.
func (s Inline) verified(ctx context.Context, work string) error {
	if err := emptyDir(work, openRootFolder); err != nil {
		return err
	}
	a := Artifact{
		Location: s.Location(), Path: filepath.Join(work, "archive"), SHA256: s.sum(), Size: int64(len(s.Content)),
		Signature: s.Signature, Recorded: s.recorded,
	}
	if err := os.WriteFile(a.Path, []byte(s.Content), 0o600); err != nil {
		return unwritable("", err)
	}
	defer os.Remove(a.Path) // what stays goes with work
	return s.Verifier.Verify(ctx, a)
}
