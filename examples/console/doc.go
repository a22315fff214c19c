// Package console is what the example programs have in common: it shows a deployment
// on a terminal, as lines or as JSON, and deploys a revision or goes on with what a
// crash has left.
package console
