// Package journal keeps the records of deployments, so that a controller that
// was killed at any instant can be started again and goes on.
//
// A [Journal] holds deployment groups. Opening a group gives a [Log] and makes
// the caller the group's only controller; the log holds the deployments of the
// group, oldest first, each a sequence of [lifecycle.Record] with dense numbers
// from 1. The engine writes a record before it acts on it, and what it knows is
// a fold of the records.
//
// There are two journals here. [Memory] lasts as long as the process. [File]
// keeps a directory of text files:
//
//	DIR/billing/lock
//	DIR/billing/000001-d-1K2M.jsonl
//	DIR/billing/000002-d-9Q4T.jsonl
//
// What [File] promises:
//
//   - Records are on the disk when Append returns nil, all of them or none.
//   - A crash in the middle of an Append leaves it undone: the torn end is dropped,
//     with a note to [File.Note], and cut off by the next Append.
//   - Every line is checksummed together with all lines before it. Damage anywhere
//     else than in a torn end is refused with [ErrCorrupt], file, line and offset.
//   - The lock is the kernel's and ends with the process. There are no stale locks.
//   - A full disk fails the Append and nothing else: once there is room, it can be
//     repeated. After a failed sync nothing is written any more ([ErrFailed]).
//
// Reading needs no lock: both journals are [Readable].
//
// To keep records somewhere else, in a database for example, implement [Journal]
// and prove it with package journaltest.
package journal
