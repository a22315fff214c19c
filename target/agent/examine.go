package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// Examine reads an executable that is to be sent to hosts: its SHA-256, in hexadecimal,
// and its size. One whose program does not call [Main] of this version of the library
// cannot be an agent, and is an error.
func Examine(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, fmt.Errorf("the program for the hosts cannot be read: %w", err)
	}
	defer f.Close()
	h, s := sha256.New(), &search{what: []byte(Linked())}
	if size, err = io.Copy(io.MultiWriter(h, s), f); err != nil {
		return "", 0, fmt.Errorf("the program for the hosts cannot be read: %w", err)
	}
	if !s.found {
		return "", 0, fmt.Errorf("%s cannot be an agent: its main does not begin with agent.Main(), or it was built with another version of the library", path)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// search looks for a text in what is written to it.
type search struct {
	what  []byte
	tail  []byte
	found bool
}

func (s *search) Write(p []byte) (int, error) {
	if s.found {
		return len(p), nil
	}
	s.tail = append(s.tail, p...)
	s.found = bytes.Contains(s.tail, s.what)
	s.tail = append([]byte(nil), s.tail[max(0, len(s.tail)-len(s.what)):]...)
	return len(p), nil
}
