package onprem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"
)

// auth returns the ways to log in, and what has to be closed when that is done. An SSH
// agent that asks its user is waited for until ctx ends.
func (a *Access) auth(ctx context.Context, p place) (methods []ssh.AuthMethod, done func(), err error) {
	signers, locked, err := a.fileKeys(p)
	if err != nil {
		return nil, nil, err
	}
	done = func() {}
	if p.agent != "" {
		held, closeAgent, err := agentKeys(ctx, p.agent)
		if err != nil {
			return nil, nil, err
		}
		held = slices.DeleteFunc(held, func(s ssh.Signer) bool {
			return p.only && !p.names(s.PublicKey()) || offered(signers, s.PublicKey())
		})
		signers, done = append(signers, held...), closeAgent
	}
	if len(signers) > 0 {
		return []ssh.AuthMethod{ssh.PublicKeys(signers...)}, done, nil
	}
	done()
	if locked != nil {
		return nil, nil, locked
	}
	return nil, nil, errors.New("there is no key to log in with: set Access.Keys, Access.Agent or Access.Signers")
}

// offered reports whether a key is offered already: a host looks at few, and counts one
// that it is shown twice as two.
func offered(signers []ssh.Signer, key ssh.PublicKey) bool {
	return slices.ContainsFunc(signers, func(s ssh.Signer) bool { return bytes.Equal(s.PublicKey().Marshal(), key.Marshal()) })
}

// names reports whether the public half of one of the key files is this key.
func (p place) names(key ssh.PublicKey) bool {
	return slices.ContainsFunc(p.keys, func(file string) bool {
		data, err := os.ReadFile(expandHome(file) + ".pub")
		if err != nil {
			return false
		}
		k, _, _, _, err := ssh.ParseAuthorizedKey(data)
		return err == nil && bytes.Equal(k.Marshal(), key.Marshal())
	})
}

// fileKeys are the keys of the program and those in files. Locked is the error of a file
// whose passphrase nobody knows: the SSH agent may have its key.
func (a *Access) fileKeys(p place) (signers []ssh.Signer, locked, err error) {
	signers = append(signers, a.Signers...)
	for _, file := range p.keys {
		s, err := a.key(file)
		switch {
		case err == nil:
			signers = append(signers, s)
		case errors.Is(err, os.ErrNotExist) && len(a.Keys) == 0: // a configuration lists what may be there
		case errors.Is(err, errLocked) && p.agent != "":
			locked = err
		default:
			return nil, nil, err
		}
	}
	return signers, locked, nil
}

// agentKeys are those that an SSH agent holds. They work until done is called, or ctx
// has ended.
func agentKeys(ctx context.Context, socket string) (signers []ssh.Signer, done func(), err error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("the SSH agent cannot be reached: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	done = func() { stop(); _ = c.Close() }
	if signers, err = sshagent.NewClient(c).Signers(); err == nil {
		return signers, done, nil
	}
	done()
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("the SSH agent does not answer: %w", context.Cause(ctx))
	}
	return nil, nil, fmt.Errorf("the SSH agent does not tell its keys: %w", err)
}

// errLocked says that a key cannot be used without its passphrase.
var errLocked = errors.New("needs a passphrase: set Access.Passphrase, or add the key to an SSH agent")

// key reads a private key file, once.
func (a *Access) key(file string) (ssh.Signer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.keys[file]; ok {
		return s, nil
	}
	s, err := a.readKey(expandHome(file))
	if err == nil {
		a.keys[file] = s
	}
	return s, err
}

func (a *Access) readKey(file string) (ssh.Signer, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("the key file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s has mode %#o, so other accounts may read it: chmod 600, and make a new key if they may have", file, info.Mode().Perm())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the key file: %w", err)
	}
	s, err := ssh.ParsePrivateKey(data)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		return a.unlock(file, data)
	}
	if err != nil {
		return nil, fmt.Errorf("the key file %s holds no private key that can be used: %w", file, err)
	}
	return s, nil
}

func (a *Access) unlock(file string, data []byte) (ssh.Signer, error) {
	if a.Passphrase == nil {
		return nil, fmt.Errorf("the key file %s %w", file, errLocked)
	}
	phrase, err := a.Passphrase(file)
	if err != nil {
		return nil, fmt.Errorf("the passphrase of %s: %w", file, err)
	}
	s, err := ssh.ParsePrivateKeyWithPassphrase(data, phrase)
	if err != nil {
		return nil, fmt.Errorf("the key file %s cannot be opened with its passphrase: %w", file, err)
	}
	return s, nil
}
