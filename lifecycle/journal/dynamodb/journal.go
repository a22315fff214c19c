package dynamodb

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// Journal is a [journal.Journal] in a table. Set the fields before first use; then it
// may be used from many goroutines, and from as many processes as there are.
type Journal struct {
	// Client is the SDK's client of the table's region. Required.
	Client Client
	// Table is the table's name or ARN. Required. See [CreateTable].
	Table string

	// Name is what others are told about who holds a group, for example the machine
	// and the build. Empty: they see a random id.
	Name string

	TTL      time.Duration // how long a lease lasts without being renewed; zero: 15 s
	Renew    time.Duration // how often it is renewed; zero: a third of TTL
	Patience time.Duration // how long to try again when the table is busy or out of reach; zero: 30 s

	part int // replaces partSize in tests
}

var (
	_ journal.Journal  = (*Journal)(nil)
	_ journal.Readable = (*Journal)(nil)
)

// Defaults of the settings.
const (
	defaultTTL      = 15 * time.Second
	defaultPatience = 30 * time.Second
)

func (j *Journal) ttl() time.Duration {
	if j.TTL > 0 {
		return j.TTL
	}
	return defaultTTL
}

func (j *Journal) renew() time.Duration {
	if j.Renew > 0 {
		return j.Renew
	}
	return j.ttl() / 3
}

func (j *Journal) store() *store {
	s := &store{client: j.Client, table: j.Table, patience: j.Patience, part: cmp.Or(j.part, partSize)}
	if s.patience <= 0 {
		s.patience = defaultPatience
	}
	return s
}

func (j *Journal) valid() error {
	switch {
	case j.Client == nil || j.Table == "":
		return errors.New("journal: dynamodb.Journal needs a Client and a Table")
	case j.renew() > j.ttl()/2:
		return fmt.Errorf("journal: a lease of %v that is renewed every %v is lost when one renewal fails: set Renew to a third of TTL or less", j.ttl(), j.renew())
	}
	return nil
}

// Open implements [journal.Journal]. On a group that is free it returns at once. On one
// that is taken it fails with ErrLocked at the holder's next renewal, or takes over
// when none came: see the package comment. When ctx is cancelled it returns its cause.
func (j *Journal) Open(ctx context.Context, group string) (journal.Log, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := j.valid(); err != nil {
		return nil, err
	}
	s := j.store()
	mine := lease{holder: rand.Text(), name: j.Name, ttl: j.ttl(), since: time.Now().UTC().Format(time.RFC3339)}
	got, sent, err := acquire(ctx, s, group, mine)
	if err != nil {
		return nil, inGroup(ctx, group, err)
	}
	l := &log{group: group, s: s, keeper: keep(s, group, got, j.renew(), sent)}
	if l.heads, err = heads(ctx, s, group); err != nil {
		_ = l.Close() // it would end by itself
		return nil, inGroup(ctx, group, err)
	}
	return l, nil
}

// Reader implements [journal.Readable].
func (j *Journal) Reader(group string) journal.Reader { return reader{j.store(), group} }

// inGroup says which group an error is about. A cancelled call returns its cause.
func inGroup(ctx context.Context, group string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, journal.ErrLocked) {
		return cause
	}
	return fmt.Errorf("journal: group %s: %w", group, err)
}
