// Package wire is what a controller and the agent on a host say to each other: the
// frames, the messages, and how a revision is described so that only what the host
// lacks has to be sent. PROTOCOL.md of package agent tells the whole story.
package wire
