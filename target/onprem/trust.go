package onprem

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

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

// check is called with the key that a host shows. Where its certificate does not count,
// its key may, as for the ssh command.
func (t *trust) check(name string, remote net.Addr, key ssh.PublicKey) error {
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return t.plain(name, remote, key)
	}
	for _, k := range []ssh.PublicKey{cert.Key, cert.SignatureKey} {
		if t.revoked(name, remote, k) {
			return &identityError{fmt.Sprintf("the host's certificate has a key that the known hosts list as revoked (%s); nothing was sent", ssh.FingerprintSHA256(k))}
		}
	}
	plain := t.plain(name, remote, cert.Key)
	if plain == nil || !among(t.authorities(name), cert.SignatureKey) {
		return plain
	}
	checker := ssh.CertChecker{IsHostAuthority: func(ca ssh.PublicKey, _ string) bool { return among(t.authorities(name), ca) }}
	if err := checker.CheckHostKey(name, remote, cert); err != nil {
		return &identityError{fmt.Sprintf("the certificate of the host is not valid for it: %v", err)}
	}
	return nil
}

// plain decides about a key without a certificate.
func (t *trust) plain(name string, remote net.Addr, key ssh.PublicKey) error {
	if t.known == nil {
		return &identityError{"the host has no certificate of one of the authorities in Access.HostCAs"}
	}
	return explain(name, key, t.known(name, remote, key))
}

func (t *trust) revoked(name string, remote net.Addr, key ssh.PublicKey) bool {
	if t.known == nil {
		return false
	}
	_, revoked := errors.AsType[*knownhosts.RevokedError](t.known(name, remote, key))
	return revoked
}

// lines are those of the files that are about the host: keys of its own, and
// authorities.
func (t *trust) lines(name string) (keys, authorities []knownhosts.KnownKey) {
	if t.known == nil {
		return nil, nil
	}
	e, _ := errors.AsType[*knownhosts.KeyError](t.known(name, &net.TCPAddr{}, noKey()))
	if e == nil {
		return nil, nil
	}
	return split(e.Want)
}

// split tells authorities from keys, which the package does not: it says where each
// stands.
func split(all []knownhosts.KnownKey) (keys, authorities []knownhosts.KnownKey) {
	files := map[string][]string{}
	for _, k := range all {
		if files[k.Filename] == nil {
			text, _ := os.ReadFile(k.Filename) // it was read a moment ago; if it is gone, the line is no authority
			files[k.Filename] = strings.Split(string(text), "\n")
		}
		lines := files[k.Filename]
		if k.Line <= len(lines) && strings.HasPrefix(strings.TrimSpace(lines[k.Line-1]), "@cert-authority") {
			authorities = append(authorities, k)
		} else {
			keys = append(keys, k)
		}
	}
	return keys, authorities
}

// authorities may sign the key of the host.
func (t *trust) authorities(name string) []ssh.PublicKey {
	list := slices.Clone(t.cas)
	_, lines := t.lines(name)
	for _, k := range lines {
		list = append(list, k.Key)
	}
	return list
}

func among(list []ssh.PublicKey, key ssh.PublicKey) bool {
	return slices.ContainsFunc(list, func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), key.Marshal()) })
}

// explain says what is wrong with a key, and what to do.
func explain(name string, key ssh.PublicKey, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*knownhosts.KeyError](err)
	if !ok {
		return &identityError{fmt.Sprintf("the host's key is refused: %v", err)}
	}
	keys, authorities := split(e.Want)
	switch {
	case len(keys) > 0:
		w := keys[0]
		return &identityError{fmt.Sprintf("the host's key has changed: %s is known with %s (%s:%d), and shows %s; nothing was sent. If the machine was replaced, correct the known hosts; otherwise somebody may be between you and it",
			name, ssh.FingerprintSHA256(w.Key), w.Filename, w.Line, ssh.FingerprintSHA256(key))}
	case len(authorities) > 0:
		w := authorities[0]
		return &identityError{fmt.Sprintf("the host has no certificate of the authority that is known for %s (%s:%d), and shows %s; nothing was sent. Sign its key, or add it to the known hosts",
			name, w.Filename, w.Line, ssh.FingerprintSHA256(key))}
	}
	return &identityError{fmt.Sprintf("the host's key is not known (%s, %s); find out from the host itself whether it is right, and add it to the known hosts", name, ssh.FingerprintSHA256(key))}
}

// algorithms are those that the host is asked for: certificates where an authority is
// known for it, and then those of its keys that are known. A host has several keys, and
// must show one of those; else it would seem to have changed. Nil: any.
func (t *trust) algorithms(name string) (list []string) {
	keys, _ := t.lines(name)
	if len(keys) == 0 {
		return nil // certificates come first then
	}
	if len(t.authorities(name)) > 0 {
		list = slices.Clone(certificates)
	}
	for _, k := range keys {
		for _, algo := range algorithmsOf(k.Key.Type()) {
			if !slices.Contains(list, algo) {
				list = append(list, algo)
			}
		}
	}
	return list
}

// certificates are the kinds of certificates that hosts have.
var certificates = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
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
