// Package s3 deploys revisions that are kept in Amazon S3, or in what speaks its
// language.
//
//	client := awss3.NewFromConfig(cfg)
//	d.Revision = s3.Object{Client: client, Bucket: "releases", Key: "shop/1.4.2.zip"}
//
// The object is a zip, tar or gzipped tar archive, or an AppSpec alone, in YAML or
// JSON; which one is seen from its content, whatever it is called. [Object.Open]
// downloads it into the work directory, compares it with what is known of it, asks the
// [revision.Verifier], and unpacks it.
//
// # Which object
//
// Without Version it is the newest version at the time of the deployment, as with
// CodeDeploy. What that was is pinned: the deployment's records have the version and
// the SHA-256, and a resumed deployment or a rollback opens exactly that. An object
// that was replaced meanwhile is refused. In a bucket without versions it is then gone,
// and only units that have retained it can go back to it; so turn versioning on.
//
// An ETag says which object is meant, no more: for objects that were uploaded in
// parts, or encrypted, it is no digest of the content.
//
// # On the way
//
// A download that breaks off goes on where it was, if the bucket has versions, and
// begins anew if not. Its size is limited, and so is how slow it may be. Errors tell
// apart what is not there, what is not allowed, and what is elsewhere; they name the
// bucket, the key, the region and the credentials' source, and hold no secret.
//
// With HandOver hosts may fetch the archive themselves, by an address that works for
// a while without credentials. What they get is compared with the same SHA-256, and
// unpacked within the same [Object.Limits].
//
// The client's own retries and time limits hold for each request.
package s3
