package dynamodb

import (
	"context"
	"fmt"

	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// head is what a group knows of one of its deployments.
type head struct {
	n    int64  // it is the group's nth
	id   string // of the deployment
	next int64  // number of the next record
	sum  uint32 // over all data so far
}

func (h head) item(group string) item {
	return item{"pk": text(groupKey(group)), "sk": text(headKey(h.n)), "deployment": raw([]byte(h.id)),
		"n": number(h.n), "nextSeq": number(h.next), "crc": number(int64(h.sum)), "v": number(format)}
}

// unchanged is the condition that nobody has written to the deployment since.
func (h head) unchanged() when {
	if h.next == 1 {
		return absent
	}
	return when{"nextSeq = :next AND crc = :crc", item{":next": number(h.next), ":crc": number(int64(h.sum))}}
}

// heads lists a group's deployments, oldest first.
func heads(ctx context.Context, s *store, group string) ([]head, error) {
	var all []head
	err := s.pages(ctx, span{pk: groupKey(group), from: headPrefix, to: headPrefix + "~"}, func(it item) error {
		f := fields{item: it}
		if v := f.number("v"); f.err == nil && v > format {
			return fmt.Errorf("%w: table %s has format %d, this program knows up to %d: use a newer one", journal.ErrTooNew, s.table, v, format)
		}
		h := head{n: f.number("n"), id: string(f.raw("deployment")), next: f.number("nextSeq"), sum: uint32(f.number("crc"))}
		if f.err == nil && f.text("sk") != headKey(h.n) {
			f.err = fmt.Errorf("it says that it is number %d", h.n)
		}
		if f.err != nil {
			return corrupt(s, groupKey(group), f.text("sk"), f.err.Error())
		}
		all = append(all, h)
		return nil
	})
	return all, err
}

func ids(heads []head) (list []string) {
	for _, h := range heads {
		list = append(list, h.id)
	}
	return list
}

// entry is one Append.
type entry struct {
	attempt     string // names whoever tried it, and when
	first, last int64
	parts       int // items before this one, with the beginning of the data
	zipped      bool
	prev        uint32 // sum over all data before it
	data        []byte
}

func (e entry) item(pk string) item {
	zipped := int64(0)
	if e.zipped {
		zipped = 1
	}
	return item{"pk": text(pk), "sk": text(appendKey(e.first)), "attempt": text(e.attempt), "lastSeq": number(e.last),
		"parts": number(int64(e.parts)), "zipped": number(zipped), "prev": number(int64(e.prev)), "records": raw(e.data)}
}

func readEntry(it item) (e entry, err error) {
	f := fields{item: it}
	e = entry{attempt: f.text("attempt"), last: f.number("lastSeq"), parts: int(f.number("parts")),
		zipped: f.number("zipped") == 1, prev: uint32(f.number("prev")), data: f.raw("records")}
	if _, err := fmt.Sscanf(f.text("sk"), "%d", &e.first); err != nil {
		return e, fmt.Errorf("its sort key is no number: %w", err)
	}
	return e, f.err
}

func corrupt(s *store, pk, sk, why string) error {
	return fmt.Errorf("%w: table %s, item %q %q: %s; nothing was done: restore the table to a time when it was whole, or delete the deployment's items to give up its history",
		journal.ErrCorrupt, s.table, pk, sk, why)
}
