// Package console is what the example programs have in common, so that their own files
// show what is particular to a platform: flags that come again ([Parse], [List],
// [ParseShift]), signals and exit statuses ([UntilSignal], [Status]), and what happens on
// a terminal, as lines or as JSON ([Log], and [Display] for many hosts). A [Program]
// deploys a revision or goes on with what a crash has left.
package console
