package revision

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Ed25519 is a [Verifier] for signatures made by [Sign]. An archive passes if one of
// the keys has signed a statement about exactly this archive. Without keys, and
// without a signature, nothing passes.
type Ed25519 struct {
	// Keys are trusted, by id. To change keys, let both be there for a while.
	Keys map[string]ed25519.PublicKey

	// Name is what the statement has to be about. Empty: anything; then a signed
	// archive of one application passes as another one's.
	Name string

	// Since refuses what was signed before, so that nobody can offer an old revision
	// again. Zero: any time. Locations that an earlier deployment recorded may be
	// older, and their signatures may have expired since: resuming and going back are
	// decisions that somebody made here.
	Since time.Time
}

// Verify implements Verifier.
func (v Ed25519) Verify(_ context.Context, a Artifact) error {
	if len(v.Keys) == 0 {
		return refuse(SignerUnknown, "", "the verifier trusts no key; give it some")
	}
	if len(a.Signature) == 0 {
		return refuse(NotSigned, "", "has no signature, and one is required")
	}
	s, err := v.statement(a.Signature)
	if err != nil {
		return err
	}
	return v.judge(s, a, time.Now())
}

// judge compares a statement that is genuine.
func (v Ed25519) judge(s Statement, a Artifact, now time.Time) error {
	switch {
	case !strings.EqualFold(s.SHA256, a.SHA256):
		return refuse(DigestMismatch, "", "has the SHA-256 %s, and what was signed has %s", a.SHA256, s.SHA256)
	case v.Name != "" && s.Name != v.Name:
		return refuse(SignedForOther, "", "is signed as %q, not as %q", s.Name, v.Name)
	case a.Recorded:
		return nil
	case !s.Expires.IsZero() && !now.Before(s.Expires):
		return refuse(SignatureExpired, "", "the signature has expired at %s; sign it again", s.Expires.UTC().Format(time.RFC3339))
	case s.Signed.Before(v.Since):
		return refuse(OlderThanDeployed, "", "was signed at %s, before %s; an older revision comes back by rolling back only",
			s.Signed.UTC().Format(time.RFC3339), v.Since.UTC().Format(time.RFC3339))
	}
	return nil
}

// statement reads a signature and returns what a trusted key has signed.
func (v Ed25519) statement(text []byte) (Statement, error) {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return Statement{}, refuse(SignatureInvalid, "", "the signature cannot be read: %w", err)
	}
	if e.Type != statementType {
		return Statement{}, refuse(SignatureInvalid, "", "the signature is for %q, not %q", e.Type, statementType)
	}
	if err := v.genuine(e); err != nil {
		return Statement{}, err
	}
	var s Statement
	if err := json.Unmarshal(e.Payload, &s); err != nil {
		return Statement{}, refuse(SignatureInvalid, "", "what is signed cannot be read: %w", err)
	}
	if !isSHA256(s.SHA256) || s.Signed.IsZero() {
		return Statement{}, refuse(SignatureInvalid, "", "what is signed lacks the SHA-256 or the time")
	}
	return s, nil
}

// genuine makes sure that one trusted key has signed the payload.
func (v Ed25519) genuine(e envelope) error {
	var known, unknown []string
	for _, s := range e.Signatures {
		key, ok := v.Keys[s.KeyID]
		if !ok {
			unknown = append(unknown, fmt.Sprintf("%.64q", s.KeyID))
			continue
		}
		if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signedText(e.Type, e.Payload), s.Sig) {
			return nil
		}
		known = append(known, fmt.Sprintf("%q", s.KeyID))
	}
	switch {
	case len(known) > 0:
		return refuse(SignatureInvalid, "", "the signature was not made with the key %s, or was changed", strings.Join(known, ", "))
	case len(unknown) > 0:
		return refuse(SignerUnknown, "", "is signed with %s; trusted are %q", strings.Join(unknown[:min(len(unknown), 5)], ", "), slices.Sorted(maps.Keys(v.Keys)))
	}
	return refuse(NotSigned, "", "the signature file has no signature in it, and one is required")
}
