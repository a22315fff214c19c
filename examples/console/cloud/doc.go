// Package cloud is what the examples that deploy to AWS have in common besides the
// console: how they get there. It is apart since it needs the SDK.
package cloud
