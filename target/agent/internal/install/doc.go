// Package install is CodeDeploy's Install event on one machine, as a transaction.
//
// [NewPlan] reads the revision, the destination and what the deployment group
// installed before, and decides what becomes of every path. It changes nothing,
// and reports everything that is wrong at once. [Plan.Apply] then carries the plan
// out: new content is staged under hidden names beside its destination, synced,
// and moved into place by renames that an undo log foretold. The rename of the new
// ownership list over the old one is the moment of commitment. An error puts
// everything back; after a crash [Recover] ends in exactly the old tree (crash
// before that moment) or exactly the new one (after it).
//
// Nothing that the group did not install is ever removed or changed, except a
// file that stands in the way under OVERWRITE: that one is kept in the group's
// state and comes back with the first revision that no longer has its path.
//
// Directories are opened component by component and never through links, so a
// directory that is swapped for a link meanwhile makes the install fail, not
// write elsewhere.
package install
