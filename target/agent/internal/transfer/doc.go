// Package transfer brings a revision to a host: only the files that the host has in
// none of the revisions it retains, as one compressed stream, or the whole archive
// from an address.
//
// What comes is written to a spool first, each file compared with its digest as it
// arrives. A transfer that is cut off leaves a spool with what had come, and the
// next one does not ask for that again.
package transfer
