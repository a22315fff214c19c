package onprem

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"
)

// auth returns the ways to log in, and what has to be closed when that is done.
func (a *Access) auth(p place) (methods []ssh.AuthMethod, done func(), err error) {
	signers := append([]ssh.Signer(nil), a.Signers...)
	for _, file := range p.keys {
		s, err := a.key(file)
		if errors.Is(err, os.ErrNotExist) && len(a.Keys) == 0 {
			continue // of a configuration, which lists what may be there
		}
		if err != nil {
			return nil, nil, err
		}
		signers = append(signers, s)
	}
	done = func() {}
	if p.agent != "" {
		c, err := net.Dial("unix", p.agent)
		if err != nil {
			return nil, nil, fmt.Errorf("the SSH agent cannot be reached: %w", err)
		}
		done = func() { _ = c.Close() }
		held, err := sshagent.NewClient(c).Signers()
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("the SSH agent does not tell its keys: %w", err)
		}
		signers = append(signers, held...)
	}
	if len(signers) == 0 {
		return nil, nil, errors.New("there is no key to log in with: set Access.Keys, Access.Agent or Access.Signers")
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signers...)}, done, nil
}

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
		return nil, fmt.Errorf("the key file %s needs a passphrase: set Access.Passphrase, or add the key to an SSH agent", file)
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
