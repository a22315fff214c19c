package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	return Location{Kind: KindInline, Params: map[string]string{"name": s.name(), "content": s.Content, "sha256": s.sum()}}
}

// At implements Opener.
func (s Inline) At(l Location) (Source, error) {
	if l.Kind != KindInline {
		return nil, OtherKind(l, KindInline)
	}
	return Inline{Content: l.Params["content"], SHA256: l.Params["sha256"], Name: l.Params["name"]}, nil
}

// Open implements Source: a revision of one file.
func (s Inline) Open(ctx context.Context, work string) (*Bundle, error) {
	b, err := s.open(work)
	if err != nil {
		return nil, in(ctx, s.Location().String(), err)
	}
	return b, nil
}

func (s Inline) open(work string) (*Bundle, error) {
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
	return single(work, name, []byte(s.Content))
}
