package s3_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// store is an S3 in this process: buckets with or without versions, over real HTTP,
// with faults on the answers.
type store struct {
	url string

	mu      sync.Mutex
	objects map[string][]object // by bucket/key, the newest last
	plain   map[string]bool     // buckets without versions
	asked   []string            // "GET /bucket/key?… Range"
	fault   func(n int, w http.ResponseWriter, r *http.Request, o object) bool
	changed func(n int) // after request n was answered
}

type object struct {
	version, etag string
	content       []byte
	deleted       bool
}

func newStore(t *testing.T) *store {
	s := &store{objects: map[string][]object{}, plain: map[string]bool{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// put adds a version, and returns its id.
func (s *store) put(name string, content []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := md5.Sum(content)
	o := object{version: fmt.Sprintf("v%d", len(s.objects[name])+1), etag: hex.EncodeToString(sum[:]), content: content}
	bucket, _, _ := strings.Cut(name, "/")
	if s.plain[bucket] {
		o.version = ""
		s.objects[name] = nil
	}
	s.objects[name] = append(s.objects[name], o)
	return o.version
}

// breakBy puts a fault on the answers to come; nil: none. A fault that answers itself
// says so.
func (s *store) breakBy(fault func(n int, w http.ResponseWriter, r *http.Request, o object) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// unversioned makes a bucket forget what is replaced.
func (s *store) unversioned(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plain[bucket] = true
}

func (s *store) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[name] = append(s.objects[name], object{version: "gone", deleted: true})
}

// find returns the object that is asked for, or an answer without one.
func (s *store) find(name, version string) (object, int, string) {
	bucket, _, _ := strings.Cut(name, "/")
	all, found := s.objects[name]
	if !found {
		for n := range s.objects {
			if strings.HasPrefix(n, bucket+"/") {
				return object{}, http.StatusNotFound, "NoSuchKey"
			}
		}
		return object{}, http.StatusNotFound, "NoSuchBucket"
	}
	for i := len(all) - 1; i >= 0; i-- {
		switch o := all[i]; {
		case version != "" && o.version != version:
		case o.deleted && version != "":
			return object{}, http.StatusMethodNotAllowed, "MethodNotAllowed"
		case o.deleted:
			return object{}, http.StatusNotFound, "NoSuchKey"
		default:
			return o, 0, ""
		}
	}
	return object{}, http.StatusNotFound, "NoSuchVersion"
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := len(s.asked)
	s.asked = append(s.asked, strings.TrimSpace(r.URL.Path+" "+r.URL.Query().Get("versionId")+" "+r.Header.Get("Range")))
	o, status, code := s.find(strings.TrimPrefix(r.URL.Path, "/"), r.URL.Query().Get("versionId"))
	fault, changed := s.fault, s.changed
	s.mu.Unlock()
	if changed != nil {
		defer changed(n)
	}
	if fault != nil && fault(n, w, r, o) {
		return
	}
	if code != "" {
		refuse(w, status, code)
		return
	}
	send(w, r, o, len(o.content))
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>says the fake</Message></Error>`, code)
}

// send answers with an object, and breaks off before the byte cut.
func send(w http.ResponseWriter, r *http.Request, o object, cut int) {
	from := 0
	if span, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		first, _, _ := strings.Cut(span, "-")
		from, _ = strconv.Atoi(first)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(o.content)-1, len(o.content)))
	}
	w.Header().Set("ETag", `"`+o.etag+`"`)
	if o.version != "" {
		w.Header().Set("x-amz-version-id", o.version)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(o.content)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(o.content[from:max(from, cut)])
	if cut < len(o.content) {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler) // the connection breaks
	}
}

// endless answers with bytes that never end, until nobody reads them.
func endless(w http.ResponseWriter) {
	w.Header().Set("ETag", `"e"`)
	for buf := make([]byte, 64<<10); ; {
		if _, err := w.Write(buf); err != nil {
			return
		}
	}
}

func (s *store) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// client is the real SDK, which asks the store.
func (s *store) client() *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint: &s.url, Region: "eu-central-1", UsePathStyle: true, Retryer: retry.AddWithMaxAttempts(aws.NopRetryer{}, 1),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE1234", SecretAccessKey: "verysecret", Source: "test"}, nil
		}),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

func body(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

// work is a directory of an example's own.
func work() string {
	dir, err := os.MkdirTemp("", "s3")
	if err != nil {
		panic(err)
	}
	return dir
}
