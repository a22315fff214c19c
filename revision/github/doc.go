// Package github deploys revisions that are commits of a GitHub repository, as
// CodeDeploy does.
//
//	d.Revision = github.Commit{Owner: "acme", Repository: "shop", Commit: "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d", Token: token}
//
// [Commit.Open] gets the archive that GitHub makes of a commit, asks the
// [revision.Verifier], drops the archive's leading folder, whatever is in it, and
// unpacks the rest. A commit has to be named in full: a branch or a tag would be
// another revision tomorrow.
//
// # Secrets
//
// The token is asked for when it is needed and is sent to the host of BaseURL only. A
// redirect leads to another host as a rule, which gets none; one from https to http is
// not followed. Neither the token nor what a redirect's address carries is in an error,
// a record or a location.
//
// # What is pinned
//
// The deployment's records have the commit and the digest of the content. GitHub does
// not promise that an archive has the same bytes for ever, so those are not compared;
// the digest of what is in it is. Who signs archives signs those bytes.
//
// A download that breaks off begins anew: GitHub's archives cannot be gone on with.
package github
