package revision

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Statement is what somebody signs about an archive.
type Statement struct {
	SHA256  string    `json:"sha256"`           // of the archive or the AppSpec, hex; of a directory: what its Manifest.Digest has behind the colon. Required
	Name    string    `json:"name,omitempty"`   // what it is, such as the application; empty: not said
	Signed  time.Time `json:"signed"`           // when. Required
	Expires time.Time `json:"expires,omitzero"` // not to be used later; zero: never
}

// envelope is a signed statement as it is in a file: DSSE, the envelope that signing
// tools share.
type envelope struct {
	Payload    []byte      `json:"payload"` // a statement as JSON
	Type       string      `json:"payloadType"`
	Signatures []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// statementType is the payloadType of a statement.
const statementType = "application/vnd.cutover.revision+json"

// signedText is what the key really signs: DSSE's encoding of type and payload, so
// that a signature for one type is none for another.
func signedText(kind string, payload []byte) []byte {
	b := []byte("DSSEv1 " + strconv.Itoa(len(kind)) + " " + kind + " " + strconv.Itoa(len(payload)) + " ")
	return append(b, payload...)
}

// Sign makes the detached signature of an archive, to be kept beside it under its
// name with .sig behind it. The key is an Ed25519 key, in memory or wherever its
// crypto.Signer keeps it; id is the name under which an [Ed25519] verifier knows it.
func Sign(s Statement, id string, key crypto.Signer) ([]byte, error) {
	if _, ok := key.Public().(ed25519.PublicKey); !ok {
		return nil, errors.New("signing a revision: the key is not an Ed25519 key")
	}
	if !isSHA256(s.SHA256) || s.Signed.IsZero() {
		return nil, errors.New("signing a revision: set SHA256 to 64 hex digits, and Signed")
	}
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("signing a revision: %w", err)
	}
	sig, err := key.Sign(rand.Reader, signedText(statementType, payload), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("signing a revision: %w", err)
	}
	return json.Marshal(envelope{Payload: payload, Type: statementType, Signatures: []signature{{id, sig}}})
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
