// Command customtarget deploys to a target of its own: directories that a web server
// serves. All of it is in main.go, in less than 40 lines: the two methods of a
// target, and a deployment to it.
//
//	mkdir -p /tmp/blog /tmp/shop
//	go run ./examples/customtarget /tmp/blog /tmp/shop
//
// Run it from the root of the module. It prints how the deployment ended, and the
// file "release" in each directory then names the revision.
//
// What makes it a target that a deployment can rely on:
//
//   - Its verb is absolute. Writing the same name again changes nothing, so a step
//     that is asked for again after a crash needs no memory.
//   - A failure has a code, and so does a directory that is not there.
//   - When it is cancelled it touches nothing and says why it was cancelled.
//
// The test beside it shows how to prove that, with package targettest. A target whose
// steps take long should also hand the harness a Slow, and is then tested for being
// cancelled in the middle.
package main
