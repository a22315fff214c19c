// Package rollback decides when a deployment is rolled back, and to which revision.
//
// A [Policy] says when. [Policy.Decide] says where to: the last revision whose whole
// deployment succeeded for the group, never the one whose files were copied last,
// and never debris. A rollback is a deployment of its own, with an id of its own, of
// the units that were touched and of no others. A rollback is never rolled back.
//
// An [Alarm] says whether all is well. A [Watch] says which are polled, a [Reader] polls
// them, and a [Latch] makes one decision of what they say: an alarm that has fired has
// fired, and one that cannot be read, or hangs, is not well.
//
// But for the Reader, which calls alarms, the package is pure: it does nothing itself.
// Engines call it; most users only fill in a Policy and a Watch.
package rollback
