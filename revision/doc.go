// Package revision is what is deployed: a tree of files from a directory or an
// archive, read once, listed, named by a digest, and copied only as listed.
//
// Start with [Local], which takes a directory or a zip, tar or gzipped tar, told
// apart by content. [Source.Open] gives a [Bundle]: plain files and their
// [Manifest]. [Manifest.Digest] names the revision; deployments pin it.
// [Bundle.Copy] copies the files elsewhere and compares each with the manifest
// on the way, so that what arrives is what was pinned. [Manifest.Verify] does
// the same for a copy made earlier.
//
// An AppSpec alone is a revision, too, as a file or as text ([Inline]): deployments to
// ECS and Lambda need no more. Packages s3 and github have revisions that are
// elsewhere; a source of your own brings an [Artifact] to the machine and opens that.
//
// A [Location] is what records keep of a source. [FromLocation] opens it again, with
// the help of an [Opener] where that takes a client, credentials or limits: a location
// holds none of these.
//
// A [Verifier] decides whether an archive may be used, before any of it is looked at, and
// likewise a [Directory] or an AppSpec as text. Each source has a field for it; [Verified]
// is [Local] with one. [Ed25519] is one, for detached signatures made by [Sign]. What is
// signed is the SHA-256 of the archive, of the AppSpec's text, or for a directory what
// [Manifest.Digest] has behind its colon. A signature is kept beside what it is of, with
// .sig behind the name; that of [Inline] is a field. Where there is a verifier, nothing to
// verify is a failure.
//
// # Guarantees
//
// Archives are hostile until proven otherwise. They are unpacked below an empty
// directory of the caller's, through [os.Root], within [Limits]. Names that
// climb out, links that lead out (also through one another), special files,
// names given twice, and zip files that two tools would read differently are
// refused with an [*Error] whose Code says what it was. Set-id bits, write
// permission for everybody, owners and extended attributes of archives are not
// taken over; the bundle's notes say so.
//
// A directory is the caller's own and is taken as it is: any names, links to
// anywhere (recorded, never followed), set-id bits. Named pipes, sockets and
// devices are refused.
//
// Files are read and written by several goroutines; results do not depend on
// their order. Memory depends on the number of files, not on their size. When
// the context is cancelled, its cause is returned.
//
// # What is left to the caller
//
// The directory given to Open must be private, and lives as long as the bundle.
// Removing it, and what a failed copy leaves behind, is up to the caller. Where
// links may lead after installation is for the installer to decide.
package revision
