// Package dynamodb keeps the journal in a table of Amazon DynamoDB, so that any of
// many controllers can go on with a deployment, and only one does.
//
//	j := &dynamodb.Journal{Client: sdk.NewFromConfig(cfg), Table: "deployments"}
//	d := &cutover.Deployment{Group: "web", Journal: j, …}
//
// [CreateTable] makes the table; [Policy] is what a controller has to be allowed.
//
// # The lease
//
// Opening a group takes its lease and renews it until the log is closed, every 5
// seconds ([Journal.Renew]) for 15 ([Journal.TTL]). Every controller that gets it has
// an epoch one above the last, and every write is made on condition that holder
// and epoch are still in the lease, in one transaction with it. So a controller that was
// paused, or cut off, writes nothing once another one has taken over, whatever it
// believes: Append fails with [journal.ErrLost]. A run that only waits hears of it
// too, from [journal.Leased]: when the lease is gone, and also when it could not be
// renewed for its time by the controller's own clock, before anybody else may take it.
//
// What is not in the table cannot be fenced by it. The engine writes before it acts,
// so a controller that wakes up begins nothing new; a call to a target that was in the
// middle when it was paused goes on.
//
// # Clocks
//
// No clock is compared with another. The lease holds no time that anybody acts on: it
// holds a number that changes with each renewal. Who wants the group and finds it
// taken watches that number. If it changes, the holder lives, and Open fails with
// [journal.ErrLocked]; that takes one renewal, and no time at all if the lease changes
// hands just then. If it does not change for the lease's time and a tenth, counted by
// the watcher's own monotonic clock from when he first saw it, the holder is dead or
// has stopped by himself, and the watcher takes over on condition that the lease is
// still as he saw it. So a group is free again within two lease times. The table's own
// expiry of items plays no part.
//
// # The table
//
// Partition key pk and sort key sk, both strings. One Append is one item, with its
// records as JSON lines, compressed if that is shorter:
//
//	pk                sk                 what
//	g/GROUP           lease              epoch, holder, name, beat, ttlMillis, since
//	g/GROUP           d/000000000001     a deployment: its id, nextSeq, crc, v (format)
//	g/GROUP           u/000000000007     audit: the lease of epoch 7 was unlocked, by whom
//	r/GROUP/00…01     0000000000000000001  records from 1 on: lastSeq, parts, attempt, zipped, prev, records
//	r/GROUP/00…01     0000000000000000001/ATTEMPT/0001  the beginning of an Append larger than an item
//
// GROUP is the name, or a hash of it with g and r as h and s where the name is too
// long or has control characters. An Append that does not fit an item (400 KB) is
// split: the beginnings are written first, under a name that only this attempt knows,
// and count when the item is there that ends it. Sums are CRC-32C over all that came
// before; a record that was removed or changed is found when it is read.
//
// A write whose reply was lost is recognised by its attempt when it is tried again.
// Throttling and conflicts are waited out for [Journal.Patience].
//
// On-demand capacity and point-in-time recovery suit the table. Do not switch on time
// to live, and do not use a global table: a condition holds in one region only.
package dynamodb
