package revision

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func newKey(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return pub, key
}

func sign(t testing.TB, s Statement, id string, key crypto.Signer) []byte {
	t.Helper()
	b, err := Sign(s, id, key)
	require.NoError(t, err)
	return b
}

// Each row breaks one thing of what passes.
func TestF5_WhichCheckFailed(t *testing.T) {
	pub, key := newKey(t)
	_, other := newKey(t)
	digest := strings.Repeat("ab", 32)
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		good := Statement{SHA256: digest, Name: "shop", Signed: now.Add(-time.Hour), Expires: now.Add(time.Hour)}
		with := func(change func(*Statement)) []byte {
			s := good
			change(&s)
			return sign(t, s, "k", key)
		}
		edit := func(change func(*envelope)) []byte {
			var e envelope
			require.NoError(t, json.Unmarshal(sign(t, good, "k", key), &e))
			change(&e)
			b, err := json.Marshal(e)
			require.NoError(t, err)
			return b
		}
		good2 := sign(t, good, "k", key)
		v := Ed25519{Keys: map[string]ed25519.PublicKey{"k": pub}, Name: "shop", Since: now.Add(-2 * time.Hour)}
		for name, c := range map[string]struct {
			code Code // empty: it passes
			sig  []byte
			v    func(*Ed25519)
			a    func(*Artifact)
		}{
			"all is well":              {"", good2, nil, nil},
			"any name will do":         {"", with(func(s *Statement) { s.Name = "other" }), func(v *Ed25519) { v.Name = "" }, nil},
			"never expires":            {"", with(func(s *Statement) { s.Expires = time.Time{} }), nil, nil},
			"a second, good signature": {"", edit(func(e *envelope) { e.Signatures = append([]signature{{"x", nil}}, e.Signatures...) }), nil, nil},
			"digest in capitals":       {"", good2, nil, func(a *Artifact) { a.SHA256 = strings.ToUpper(digest) }},

			"no signature":          {NotSigned, nil, nil, nil},
			"zero signatures":       {NotSigned, edit(func(e *envelope) { e.Signatures = nil }), nil, nil},
			"no key is trusted":     {SignerUnknown, good2, func(v *Ed25519) { v.Keys = nil }, nil},
			"unknown key":           {SignerUnknown, sign(t, good, "other", other), nil, nil},
			"another key's name":    {SignatureInvalid, sign(t, good, "k", other), nil, nil},
			"an empty trusted key":  {SignatureInvalid, good2, func(v *Ed25519) { v.Keys = map[string]ed25519.PublicKey{"k": nil} }, nil},
			"changed payload":       {SignatureInvalid, edit(func(e *envelope) { e.Payload[10] ^= 1 }), nil, nil},
			"changed signature":     {SignatureInvalid, edit(func(e *envelope) { e.Signatures[0].Sig[0] ^= 1 }), nil, nil},
			"another type":          {SignatureInvalid, edit(func(e *envelope) { e.Type = "text/plain" }), nil, nil},
			"no JSON":               {SignatureInvalid, []byte("-----BEGIN"), nil, nil},
			"another archive":       {DigestMismatch, good2, nil, func(a *Artifact) { a.SHA256 = strings.Repeat("cd", 32) }},
			"another name":          {SignedForOther, with(func(s *Statement) { s.Name = "other" }), nil, nil},
			"expired":               {SignatureExpired, with(func(s *Statement) { s.Expires = now }), nil, nil},
			"F6: older":             {OlderThanDeployed, with(func(s *Statement) { s.Signed = now.Add(-3 * time.Hour) }), nil, nil},
			"F6: but going back is": {"", with(func(s *Statement) { s.Signed, s.Expires = now.Add(-3*time.Hour), now }), nil, func(a *Artifact) { a.Recorded = true }},
			"and yet not anything":  {DigestMismatch, good2, nil, func(a *Artifact) { a.Recorded, a.SHA256 = true, "" }},
		} {
			v, a := v, Artifact{SHA256: digest, Signature: c.sig}
			if c.v != nil {
				c.v(&v)
			}
			if c.a != nil {
				c.a(&a)
			}
			err := v.Verify(t.Context(), a)
			if c.code == "" {
				require.NoError(t, err, name)
				continue
			}
			e, ours := errors.AsType[*Error](err)
			require.True(t, ours, name)
			require.Equal(t, c.code, e.Code, name)
		}
	})
}

func TestSignRefuses(t *testing.T) {
	_, key := newKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ok := Statement{SHA256: strings.Repeat("ab", 32), Signed: time.Now()}
	_, err = Sign(ok, "k", ec)
	require.ErrorContains(t, err, "not an Ed25519 key")
	for _, s := range []Statement{{}, {SHA256: ok.SHA256}, {SHA256: "xy" + ok.SHA256[2:], Signed: ok.Signed}} {
		_, err = Sign(s, "k", key)
		require.ErrorContains(t, err, "set SHA256")
	}
}

// The envelope is DSSE's, whose encoding is known by this example of its specification.
func TestTheSignedTextIsDSSEs(t *testing.T) {
	require.Equal(t, "DSSEv1 29 http://example.com/HelloWorld 11 hello world", string(signedText("http://example.com/HelloWorld", []byte("hello world"))))
}

func TestF5_AnArchiveIsVerifiedBeforeItIsUnpacked(t *testing.T) {
	pub, key := newKey(t)
	content := tarBytes(t, file("appspec.yml", "a"))
	path := save(t, "a.tar", content)
	a := ArchiveFile{Path: path, Verifier: Ed25519{Keys: map[string]ed25519.PublicKey{"k": pub}}}
	require.Contains(t, refusedWith(t, NotSigned, a).Error(), path+": has no signature, and one is required")

	sum := sha256.Sum256(content)
	sig := sign(t, Statement{SHA256: hex.EncodeToString(sum[:]), Signed: time.Now()}, "k", key)
	require.NoError(t, os.WriteFile(path+".sig", sig, 0o644))
	b := open(t, a)
	require.Equal(t, []string{"appspec.yml"}, paths(b.Manifest))
	require.NoError(t, b.Manifest.Verify(t.Context(), b.Dir))
	require.Equal(t, a.Location(), b.Revision(a).Location)

	// The one that records name is verified, too.
	again, err := FromLocation(a.Location(), a)
	require.NoError(t, err)
	require.Equal(t, []string{"appspec.yml"}, paths(open(t, again).Manifest))
	require.NoError(t, os.Remove(path+".sig"))
	_, err = again.Open(t.Context(), t.TempDir())
	requireCode(t, NotSigned, err)

	elsewhere := save(t, "sig", sig)
	a.Signature = elsewhere
	open(t, a)
	require.NoError(t, os.WriteFile(elsewhere, make([]byte, maxSignature+1), 0o644))
	refusedWith(t, SignatureInvalid, a)
	a.Path = filepath.Join(t.TempDir(), "nothing")
	refusedWith(t, NotFound, a)
}

// swapping replaces the archive while it is verified.
type swapping struct{ path string }

func (s swapping) Verify(context.Context, Artifact) error {
	return os.WriteFile(s.path, []byte("hostile"), 0o644)
}

func TestF5_WhatWasVerifiedIsWhatIsUnpacked(t *testing.T) {
	path := save(t, "a.tar", tarBytes(t, file("appspec.yml", "a")))
	b := open(t, ArchiveFile{Path: path, Verifier: swapping{path}})
	require.Equal(t, []string{"appspec.yml"}, paths(b.Manifest))
}

func TestDropFolder(t *testing.T) {
	how := Unpacking{DropFolder: true}
	unpackIt := func(items ...tarItem) (*Bundle, error) {
		return Artifact{Path: save(t, "a", tarBytes(t, items...)), Location: Location{Kind: "x", Params: map[string]string{"b": "2", "a": "1"}}}.Open(t.Context(), t.TempDir(), how)
	}
	b, err := unpackIt(folderAt("x"), file("x/README", "1"))
	require.NoError(t, err)
	require.Equal(t, []string{"README"}, paths(b.Manifest))
	require.Equal(t, Kind("x"), b.Location.Kind)
	for _, items := range [][]tarItem{{file("x/a", "1"), file("y", "1")}, {file("a", "1")}, {}} {
		_, err = unpackIt(items...)
		e := requireCode(t, ArchiveKind, err)
		require.Contains(t, e.Error(), "x:a=1,b=2: does not consist of one folder")
	}
}

func FuzzVerify(f *testing.F) {
	pub, key := newKey(f)
	good := sign(f, Statement{SHA256: strings.Repeat("ab", 32), Signed: time.Now()}, "k", key)
	f.Add(good)
	f.Add([]byte(`{"payload":"","payloadType":"` + statementType + `","signatures":[{"keyid":"k","sig":""}]}`))
	v := Ed25519{Keys: map[string]ed25519.PublicKey{"k": pub}}
	var want envelope
	require.NoError(f, json.Unmarshal(good, &want))
	f.Fuzz(func(t *testing.T, sig []byte) {
		err := v.Verify(t.Context(), Artifact{SHA256: strings.Repeat("ab", 32), Signature: sig})
		if err != nil {
			return
		}
		var e envelope
		require.NoError(t, json.Unmarshal(sig, &e))
		require.Equal(t, want.Payload, e.Payload, "only what the key has signed passes")
	})
}
