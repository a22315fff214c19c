package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-deploy/cutover/lifecycle/journal"
)

// lease says who has a group.
type lease struct {
	epoch  int64         // one more with every holder
	holder string        // random; empty: nobody
	beat   int64         // changes with every renewal
	ttl    time.Duration // after which the holder gives up by himself
	name   string        // of the holder, for people
	since  string        // by the holder's clock, for people
}

func (l lease) item(group string) item {
	it := item{"pk": text(groupKey(group)), "sk": text(leaseKey), "groupName": raw([]byte(group)),
		"epoch": number(l.epoch), "beat": number(l.beat), "ttlMillis": number(l.ttl.Milliseconds())}
	for name, value := range map[string]string{"holder": l.holder, "name": l.name, "since": l.since} {
		if value != "" {
			it[name] = text(value)
		}
	}
	return it
}

// unchanged is the condition that the lease is still as it was seen.
func (l lease) unchanged() when {
	if l.holder == "" {
		return when{"epoch = :epoch AND attribute_not_exists(holder)", item{":epoch": number(l.epoch)}}
	}
	w := l.held()
	return when{w.expression + " AND beat = :beat", item{":epoch": number(l.epoch), ":holder": text(l.holder), ":beat": number(l.beat)}}
}

// held is the condition that the holder still has it, however often he renewed it.
func (l lease) held() when {
	return when{"epoch = :epoch AND holder = :holder", item{":epoch": number(l.epoch), ":holder": text(l.holder)}}
}

// String is the holder as errors show him.
func (l lease) String() string {
	name := l.holder
	if l.name != "" {
		name = fmt.Sprintf("%q (%s)", l.name, l.holder)
	}
	if l.since != "" {
		name += " since " + l.since + " by his clock"
	}
	return name
}

// readLease reads a group's lease; found is false if it never had one.
func readLease(ctx context.Context, s *store, group string) (l lease, found bool, err error) {
	it, err := s.get(ctx, groupKey(group), leaseKey)
	if err != nil || it == nil {
		return l, false, err
	}
	f := fields{item: it}
	l = lease{epoch: f.number("epoch"), holder: f.text("holder"), beat: f.number("beat"),
		ttl: time.Duration(f.number("ttlMillis")) * time.Millisecond, name: f.text("name"), since: f.text("since")}
	if f.err != nil {
		return l, false, fmt.Errorf("%w: the lease of the group: %w", journal.ErrCorrupt, f.err)
	}
	return l, true, nil
}

// acquire takes a group's lease. It returns it with its epoch, and the time just
// before it was written, from which its own time counts.
func acquire(ctx context.Context, s *store, group string, mine lease) (lease, time.Time, error) {
	var watched lease
	var since time.Time // when the watched lease had been read for the first time
	for {
		seen, found, err := readLease(ctx, s, group)
		switch {
		case err != nil:
			return mine, since, err
		case !found:
			return take(ctx, s, group, mine, lease{}, absent)
		case seen.holder == "":
			return take(ctx, s, group, mine, seen, seen.unchanged())
		case seen != watched && watched.holder != "":
			return mine, since, locked(seen)
		case seen != watched:
			watched, since = seen, time.Now()
		case time.Since(since) > seen.ttl+seen.ttl/10:
			return take(ctx, s, group, mine, seen, seen.unchanged())
		}
		if !pause(ctx, max(seen.ttl/20, time.Millisecond)) {
			return mine, since, context.Cause(ctx)
		}
	}
}

// take writes the lease in place of the one that was seen. Whoever comes too late
// has lost: somebody is there who lives.
func take(ctx context.Context, s *store, group string, mine, seen lease, w when) (lease, time.Time, error) {
	mine.epoch = seen.epoch + 1
	sent := time.Now()
	err := s.retry(ctx, func(ctx context.Context) error { return s.put(ctx, mine.item(group), w) })
	if !conditionFailed(err) {
		return mine, sent, err
	}
	now, found, err := readLease(ctx, s, group)
	switch {
	case err != nil:
		return mine, sent, err
	case found && now.holder == mine.holder:
		return mine, sent, nil // it was written, and the reply lost
	}
	return mine, sent, locked(now)
}

func locked(by lease) error {
	return fmt.Errorf("%w: %s: wait for it to end; if it is dead, the group is free %v after its last sign of life", journal.ErrLocked, by, by.ttl+by.ttl/10)
}

// Holder says who has a group open.
type Holder struct {
	ID    string // random, new each time the group is opened; empty: nobody
	Name  string // what he is called, [Journal.Name]
	Epoch int64  // how many have had the group so far
	Since string // when he opened it, in RFC 3339, by his own clock
}

// Holder reads who has a group open, or did when he was last heard of.
func (j *Journal) Holder(ctx context.Context, group string) (Holder, error) {
	if err := j.valid(); err != nil {
		return Holder{}, err
	}
	l, _, err := readLease(ctx, j.store(), group)
	if err != nil {
		return Holder{}, inGroup(ctx, group, err)
	}
	return Holder{l.holder, l.name, l.epoch, l.since}, nil
}

// ErrNotHolder says that the group to be unlocked is held by somebody else, or by nobody.
var ErrNotHolder = errors.New("journal: the group is not held by the one to be unlocked")

// Unlock takes a group away from the holder with that exact id ([Holder.ID]), without
// waiting for his lease to end; ErrNotHolder if he does not have it. He can write no
// more, and stops at his next renewal or record. Who did it, and why, is kept in the
// table beside the group.
func (j *Journal) Unlock(ctx context.Context, group, id, by string) error {
	if err := j.valid(); err != nil {
		return err
	}
	if id == "" || by == "" {
		return errors.New("journal: Unlock needs the holder's id, and who unlocks and why")
	}
	return inGroupOrNil(ctx, group, unlock(ctx, j.store(), group, id, by))
}

func inGroupOrNil(ctx context.Context, group string, err error) error {
	if err == nil {
		return nil
	}
	return inGroup(ctx, group, err)
}

func unlock(ctx context.Context, s *store, group, id, by string) error {
	seen, _, err := readLease(ctx, s, group)
	if err != nil {
		return err
	}
	if seen.holder != id {
		return fmt.Errorf("%w: it is held by %s", ErrNotHolder, seen)
	}
	free := lease{epoch: seen.epoch, ttl: seen.ttl}
	audit := item{"pk": text(groupKey(group)), "sk": text(unlockKey(seen.epoch)), "unlocked": text(id), "unlockedBy": text(by),
		"name": text(seen.name), "at": text(time.Now().UTC().Format(time.RFC3339))}
	err = s.transact(ctx, "", s.putOf(free.item(group), seen.held()), s.putOf(audit, absent))
	if len(failedConditions(err)) == 0 {
		return err
	}
	if it, _ := s.get(ctx, groupKey(group), unlockKey(seen.epoch)); it != nil {
		return nil // it was written, and the reply lost; or somebody else did the same
	}
	return fmt.Errorf("%w: he has just closed it", ErrNotHolder)
}
