package onprem

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// errNoTrust says that nothing tells how a host proves who it is.
var errNoTrust = errors.New("nothing says which keys hosts have: set Access.KnownHosts or Access.HostCAs; there is no way to do without, since whoever answers would get the revision and could run what it likes")

// identityError is a host that is not who it should be.
type identityError struct{ text string }

func (e *identityError) Error() string { return e.text }

// trust decides about host keys.
type trust struct {
	known ssh.HostKeyCallback // nil: no files
	cas   []ssh.PublicKey
}

func (a *Access) trust(p place) (*trust, error) {
	if len(p.knownHosts) == 0 && len(a.HostCAs) == 0 {
		return nil, errNoTrust
	}
	t := &trust{cas: a.HostCAs}
	var files []string
	for _, f := range p.knownHosts {
		files = append(files, expandHome(f))
	}
	if len(files) == 0 {
		return t, nil
	}
	known, err := knownhosts.New(files...)
	if err != nil {
		return nil, fmt.Errorf("the known hosts cannot be read: %w", err)
	}
	t.known = known
	return t, nil
}

// check is called with the key that a host shows.
func (t *trust) check(name string, remote net.Addr, key ssh.PublicKey) error {
	if cert, ok := key.(*ssh.Certificate); ok && t.signed(cert) {
		checker := ssh.CertChecker{IsHostAuthority: func(auth ssh.PublicKey, _ string) bool { return t.isCA(auth) }}
		if err := checker.CheckHostKey(name, remote, key); err != nil {
			return &identityError{fmt.Sprintf("the certificate of the host is not valid for it: %v", err)}
		}
		return nil
	}
	if t.known == nil {
		return &identityError{"the host has no certificate of one of the authorities in Access.HostCAs"}
	}
	return explain(name, key, t.known(name, remote, key))
}

func (t *trust) signed(cert *ssh.Certificate) bool { return t.isCA(cert.SignatureKey) }

func (t *trust) isCA(key ssh.PublicKey) bool {
	return slices.ContainsFunc(t.cas, func(ca ssh.PublicKey) bool { return bytes.Equal(ca.Marshal(), key.Marshal()) })
}

// explain says what is wrong with a key, and what to do.
func explain(name string, key ssh.PublicKey, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*knownhosts.KeyError](err); ok {
		if len(e.Want) == 0 {
			return &identityError{fmt.Sprintf("the host's key is not known (%s, %s); find out from the host itself whether it is right, and add it to the known hosts", name, ssh.FingerprintSHA256(key))}
		}
		w := e.Want[0]
		return &identityError{fmt.Sprintf("the host's key has changed: %s is known with %s (%s:%d), and shows %s; nothing was sent. If the machine was replaced, correct the known hosts; otherwise somebody may be between you and it",
			name, ssh.FingerprintSHA256(w.Key), w.Filename, w.Line, ssh.FingerprintSHA256(key))}
	}
	return &identityError{fmt.Sprintf("the host's key is refused: %v", err)}
}

// algorithms are those of the keys that are known for the host. A host has several
// keys, and must show one of those; else it would seem to have changed. Nil: any.
func (t *trust) algorithms(name string) []string {
	if len(t.cas) > 0 || t.known == nil {
		return nil
	}
	e, ok := errors.AsType[*knownhosts.KeyError](t.known(name, &net.TCPAddr{}, noKey()))
	if !ok {
		return nil
	}
	var list []string
	for _, k := range e.Want {
		for _, algo := range algorithmsOf(k.Key.Type()) {
			if !slices.Contains(list, algo) {
				list = append(list, algo)
			}
		}
	}
	return list
}

func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// noKey is a key that no host has.
func noKey() ssh.PublicKey {
	key, err := ssh.NewPublicKey(make(ed25519.PublicKey, ed25519.PublicKeySize))
	if err != nil {
		panic(err) // the type is one that is supported
	}
	return key
}
