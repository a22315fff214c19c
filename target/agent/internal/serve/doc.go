// Package serve is the agent as a process: it does steps for controllers that
// come and go.
//
// A [Server] holds the runs of steps. A run belongs to nobody: it goes on when the
// controller that asked for it is gone, and whoever asks for the same step later
// follows the same run, or gets its recorded outcome. Only a run that is still
// waiting for its revision from a controller ends with that controller.
package serve
