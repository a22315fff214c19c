package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// reader reads a group without its lease. It lists anew each time.
type reader struct {
	s     *store
	group string
}

func (r reader) Deployments(ctx context.Context) ([]string, error) {
	all, err := r.heads(ctx)
	return ids(all), err
}

func (r reader) Records(ctx context.Context, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	return func(yield func(lifecycle.Record, error) bool) {
		all, err := r.heads(ctx)
		if err != nil {
			yield(lifecycle.Record{}, err)
			return
		}
		read(ctx, r.s, r.group, all, id, from)(yield)
	}
}

func (r reader) heads(ctx context.Context) ([]head, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if r.s.client == nil || r.s.table == "" {
		return nil, errors.New("journal: dynamodb.Journal needs a Client and a Table")
	}
	all, err := heads(ctx, r.s, r.group)
	if err != nil {
		return nil, inGroup(ctx, r.group, err)
	}
	return all, nil
}

// fail yields err as the end of a sequence.
func fail(err error) iter.Seq2[lifecycle.Record, error] {
	return func(yield func(lifecycle.Record, error) bool) { yield(lifecycle.Record{}, err) }
}

// errEnough ends reading early.
var errEnough = errors.New("enough")

// read reads a deployment's records from a number on.
func read(ctx context.Context, s *store, group string, all []head, id string, from int64) iter.Seq2[lifecycle.Record, error] {
	i := slices.IndexFunc(all, func(h head) bool { return h.id == id })
	if i < 0 {
		return fail(fmt.Errorf("%w: %s", journal.ErrNotFound, id))
	}
	h := all[i]
	return func(yield func(lifecycle.Record, error) bool) {
		p := &parser{s: s, pk: recordsKey(group, h.n), id: id, yield: func(r lifecycle.Record) bool {
			return r.Seq < from || yield(r, nil)
		}}
		err := p.run(ctx, max(from, 1), h)
		if err != nil && !errors.Is(err, errEnough) {
			yield(lifecycle.Record{}, inGroup(ctx, group, err))
		}
	}
}

// parser makes records of the items of a deployment.
type parser struct {
	s     *store
	pk    string
	id    string
	yield func(lifecycle.Record) bool

	begun bool // the first entry was read: next and sum are known
	next  int64
	sum   uint32
	open  *entry // whose parts are being read
	rest  []byte // its last piece, which comes first
	have  int    // parts read
}

// run reads the entries from the one that holds a record on, and sees that they go
// at least as far as the head says.
func (p *parser) run(ctx context.Context, from int64, h head) error {
	if from >= h.next {
		return nil
	}
	start, err := p.start(ctx, from)
	if err != nil {
		return err
	}
	err = p.s.pages(ctx, span{pk: p.pk, from: start, to: appendKey(lastSeq)}, func(it item) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return p.item(it)
	})
	if err != nil {
		return err
	}
	switch {
	case p.open != nil:
		return p.corrupt(appendKey(p.open.first), fmt.Sprintf("%d of its %d parts are missing", p.open.parts-p.have, p.open.parts))
	case p.next < h.next:
		return p.corrupt(appendKey(p.next), fmt.Sprintf("the records from here to %d are missing", h.next-1))
	case p.next == h.next && p.sum != h.sum:
		return p.corrupt(appendKey(p.next), "the checksum of what comes before does not fit: something was changed")
	}
	return nil
}

// start finds the entry that holds a record.
func (p *parser) start(ctx context.Context, seq int64) (sk string, err error) {
	if seq == 1 {
		return appendKey(1), nil
	}
	err = p.s.pages(ctx, span{pk: p.pk, from: appendKey(1), to: appendKey(seq), backwards: true}, func(it item) error {
		f := fields{item: it}
		if key := f.text("sk"); !strings.Contains(key, partSeparator) {
			sk = key
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return sk, nil
	case err == nil:
		return "", p.corrupt(appendKey(1), "the first records are missing")
	}
	return "", err
}

// lastSeq has more digits than any number that is used.
const lastSeq = int64(1)<<62 - 1

// item takes the next item.
func (p *parser) item(it item) error {
	f := fields{item: it}
	sk := f.text("sk")
	if first, part, is := strings.Cut(sk, partSeparator); is {
		if p.open == nil || first != appendKey(p.open.first) || !strings.HasPrefix(part, p.open.attempt+partSeparator) {
			return nil // left by an attempt that did not come to its end
		}
		p.have++
		if sk != partKey(p.open.first, p.open.attempt, p.have) {
			return p.corrupt(sk, fmt.Sprintf("part %d should be here", p.have))
		}
		p.open.data = append(p.open.data, f.raw("records")...)
		if f.err != nil {
			return p.corrupt(sk, f.err.Error())
		}
		return p.complete()
	}
	if p.open != nil {
		return p.corrupt(appendKey(p.open.first), fmt.Sprintf("%d of its %d parts are missing", p.open.parts-p.have, p.open.parts))
	}
	e, err := readEntry(it)
	if err != nil {
		return p.corrupt(sk, err.Error())
	}
	p.open, p.rest, p.have, e.data = &e, e.data, 0, nil
	return p.complete()
}

// complete passes the open entry on if all its parts were read.
func (p *parser) complete() error {
	e := p.open
	if p.have < e.parts {
		return nil
	}
	sk := appendKey(e.first)
	data := append(e.data, p.rest...)
	if p.begun && (e.first != p.next || e.prev != p.sum) {
		return p.corrupt(sk, fmt.Sprintf("it does not follow record %d: something before it is missing or was changed", p.next-1))
	}
	records, err := decode(data, e.zipped, p.id, e.first, e.last)
	if err != nil {
		return p.corrupt(sk, err.Error())
	}
	p.open, p.begun, p.next, p.sum = nil, true, e.last+1, chain(e.prev, data)
	for _, r := range records {
		if !p.yield(r) {
			return errEnough
		}
	}
	return nil
}

func (p *parser) corrupt(sk, why string) error { return corrupt(p.s, p.pk, sk, why) }
