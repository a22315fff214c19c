// Package moto starts moto_server, an emulator of AWS, for tests that need the real
// wire format. It listens on loopback, on a port of its own, and ends with the test.
package moto

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// Server is a running emulator with nothing in it.
type Server struct{ URL string }

// Require is the environment variable that makes a missing emulator a failure: a
// list of names with commas, such as "moto,sshd".
const Require = "CUTOVER_REQUIRE"

// Start starts an emulator that ends with the test, with further variables in its
// environment. Where there is none the test is skipped, or fails if [Require] has
// "moto". In short mode it is skipped, too: it takes seconds, and the fakes in the process
// come to the same code.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED in short mode: what is tried with an emulator of AWS")
	}
	program, err := exec.LookPath("moto_server")
	if err != nil {
		missing(t, "moto_server is not on the PATH")
	}
	cmd := exec.Command(program, "-H", "127.0.0.1", "-p", "0")
	cmd.Env = append(os.Environ(), env...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		missing(t, fmt.Sprintf("moto_server does not start: %v", err))
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // its own process and no other
		cmd.Wait()         // it was killed: its status says nothing
	})
	url, err := address(said)
	if err != nil {
		missing(t, err.Error())
	}
	return &Server{URL: url}
}

// missing skips loudly, or fails where the emulator is required.
func missing(t testing.TB, why string) {
	t.Helper()
	for name := range strings.SplitSeq(os.Getenv(Require), ",") {
		if strings.TrimSpace(name) == "moto" {
			t.Fatalf("%s, and %s requires it", why, Require)
		}
	}
	t.Skipf("SKIPPED: %s: nothing was tried over the wire", why)
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// address reads the address that the server prints when it listens. What it prints
// later is dropped.
func address(said io.Reader) (string, error) {
	found := make(chan string, 1)
	go func() { // ends with the server
		defer close(found)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if url := listening.FindString(lines.Text()); url != "" {
				found <- url
				break
			}
		}
		io.Copy(io.Discard, said)
	}()
	select {
	case url := <-found:
		if url == "" {
			return "", errors.New("moto_server ended without listening")
		}
		return url, nil
	case <-time.After(time.Minute):
		return "", errors.New("moto_server has not said its address within a minute")
	}
}

// Config is what clients of the emulator are made from. A call is tried once: an
// operation that the emulator lacks looks like a server error.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       "eu-central-1",
		BaseEndpoint: &s.URL,
		Retryer:      func() aws.Retryer { return retry.AddWithMaxAttempts(aws.NopRetryer{}, 1) },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "testing", SecretAccessKey: "testing", Source: "moto"}, nil
		}),
	}
}

// Post sends a body to a path of the emulator's own interface, such as
// /moto-api/reset.
func (s *Server) Post(t testing.TB, path, body string) {
	t.Helper()
	resp, err := http.Post(s.URL+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("POST %s: %s", path, resp.Status)
	}
}
